"""Calls that an engine tells by itself are of the tools given, or an error."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace

import pytest

from canteen.core.engine import Capabilities, EngineStats, fold
from canteen.core.errors import InvalidOutput
from canteen.core.generation import (
    Chunk,
    Completion,
    FinishReason,
    GenerationRequest,
    Grammar,
    Message,
    ScoreRequest,
    Scores,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from canteen.tasks.generate import generate

WEATHER = Tool("weather", "tells it", {"type": "object"})
CALL = ToolCall("c1", "weather", '{"city": "Paris"}')
ASK = GenerationRequest("r", "m", messages=(Message("user", "weather?"),), tools=(WEATHER,))
ANY_JSON = Grammar("json_object")


@dataclass
class Telling:
    """An engine that says a text and tells calls."""

    calls: tuple[ToolCall, ...] = ()
    text: str = ""
    seen: list[GenerationRequest] = field(default_factory=list)
    name: str = "telling"
    capabilities: Capabilities = field(
        default=Capabilities(100, 4, grammar=True, native_tools=True)
    )

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Chunk]:
        self.seen.append(request)
        yield Chunk(self.text, num_tokens=1)
        reason: FinishReason = "tool_calls" if self.calls else "stop"
        yield Chunk(finish_reason=reason, tool_calls=self.calls, usage=Usage())

    async def score(self, request: ScoreRequest) -> Scores:
        raise NotImplementedError

    async def stats(self) -> EngineStats:
        return EngineStats()

    async def close(self) -> None: ...


async def answer(engine: Telling, request: GenerationRequest) -> Completion:
    return await fold(generate(engine, request))


async def test_the_engine_is_given_the_tools_and_its_calls_are_the_answer() -> None:
    engine = Telling((CALL,))

    said = await answer(engine, ASK)

    assert said.choices[0].tool_calls == (CALL,)
    assert engine.seen[0].tools == (WEATHER,)
    assert engine.seen[0].grammar is None


async def test_text_is_an_answer_too_where_no_call_is_demanded() -> None:
    assert (await answer(Telling(text="It rains."), ASK)).text == "It rains."


@pytest.mark.parametrize(
    "call",
    [replace(CALL, name="other"), replace(CALL, arguments="{"), replace(CALL, arguments="3")],
)
async def test_a_call_of_nothing_that_was_given_is_an_error(call: ToolCall) -> None:
    with pytest.raises(InvalidOutput):
        await answer(Telling((call,)), ASK)


@pytest.mark.parametrize("choice", [ToolChoice("required"), ToolChoice("named", "weather")])
async def test_a_call_that_is_demanded_must_come(choice: ToolChoice) -> None:
    request = replace(ASK, tool_choice=choice)

    assert (await answer(Telling((CALL,)), request)).choices[0].tool_calls == (CALL,)
    with pytest.raises(InvalidOutput):
        await answer(Telling(text="no"), request)


async def test_without_a_call_the_text_must_be_as_asked() -> None:
    request = replace(ASK, grammar=ANY_JSON)

    assert (await answer(Telling(text="{}"), request)).text == "{}"
    assert (await answer(Telling((CALL,)), request)).choices[0].tool_calls == (CALL,)
    with pytest.raises(InvalidOutput):
        await answer(Telling(text="no JSON"), request)


async def test_tools_that_may_not_be_called_are_not_given() -> None:
    engine = Telling(text="It rains.")

    await answer(engine, replace(ASK, tool_choice=ToolChoice("none")))

    assert engine.seen[0].tools == ()
