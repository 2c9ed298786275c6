"""Messages survive the wire, whatever they hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from canteen.core.engine import StepRecord, Work
from canteen.core.errors import (
    CanteenError,
    ContextTooLong,
    EngineError,
    InvalidOutput,
    InvalidRequest,
    NotSupported,
    Overloaded,
    RateLimited,
    UpstreamFailed,
)
from canteen.core.generation import Chunk, GenerationRequest, Message, TokenLogprob, Tool, Usage
from canteen.engines.wire import (
    HEADER,
    Add,
    Step,
    WireDelta,
    decode_command,
    decode_event,
    frame,
    from_wire,
    split,
    to_wire,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, TEXT, st.floats(allow_nan=False), st.binary())
def test_a_chunk_survives(text: str, token: str, logprob: float, raw: bytes) -> None:
    top = (TokenLogprob("b", -1.0, b"b"),)
    chunk = Chunk(text, 1, 2, (TokenLogprob(token, logprob, raw, top),), (), "stop", Usage(3))

    sent = frame(Step([WireDelta("r", chunk)]))

    assert HEADER.unpack(sent[:4]) == (len(sent) - 4,)
    assert decode_event(sent[4:]) == Step([WireDelta("r", chunk)])


def test_what_a_step_took_survives() -> None:
    record = StepRecord(0.25, 1.5, [Work("r", 3, 0, 0), Work("s", 0, 1, 70)])

    assert decode_event(frame(Step([], record))[4:]) == Step([], record)


@given(TEXT)
def test_a_request_survives(text: str) -> None:
    tool = Tool("t", text, {"type": "object", "properties": {"x": {"enum": [1, None, text]}}})
    request = GenerationRequest("r", "m", (Message("user", text),), tools=(tool,))

    assert decode_command(frame(Add(request))[4:]) == Add(request)


@pytest.mark.parametrize(
    "error",
    [
        ContextTooLong(9, 8),
        ContextTooLong(9, 8, is_at_least=True),
        InvalidRequest("no", param="top_p"),
        NotSupported("not here"),
        EngineError("broken"),
        Overloaded("later", retry_after_s=1.5, code="draining"),
        RateLimited("later", retry_after_s=1.5),
        UpstreamFailed("elsewhere", code="upstream_cut"),
        InvalidOutput("no JSON"),
    ],
)
def test_an_error_of_the_tree_survives(error: CanteenError) -> None:
    back = from_wire(to_wire(error))

    assert type(back) is type(error)
    assert (back.message, back.code) == (error.message, error.code)
    for name in ("param", "retry_after_s"):
        assert getattr(back, name, None) == getattr(error, name, None)


@given(st.lists(st.integers(0, 30)), st.data())
def test_messages_are_whole_however_they_were_cut_on_the_way(
    sizes: list[int], data: st.DataObject
) -> None:
    sent = b"".join(frame(Step([WireDelta("r" * size)])) for size in sizes)
    read, buffer, got = 0, bytearray(), []

    while read < len(sent):
        taken = data.draw(st.integers(1, len(sent) - read))
        buffer += sent[read : read + taken]
        read += taken
        got += [decode_event(body) for body in split(buffer)]

    assert got == [Step([WireDelta("r" * size)]) for size in sizes]
    assert not buffer
