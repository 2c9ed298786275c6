"""A choice as it is written, on a vocabulary of bytes."""

from typing import Any

from canteen.core.generation import Chunk, GenerationRequest, Grammar, SamplingParams
from canteen.engines.detokenizing import Vocabulary
from canteen.engines.writing import MOST_BLANKS, TokenWriting

END = 256
VOCABULARY = Vocabulary([*(bytes([i]) for i in range(256)), b"<end>"], [END], lambda ids: "")


def writing(*stop: str, **changes: Any) -> TokenWriting:
    sampling = SamplingParams(stop=stop)
    request = GenerationRequest("r", "any", prompt="", sampling=sampling, **changes)
    return TokenWriting(request, VOCABULARY, [END])


def fed(choice: TokenWriting, text: str) -> list[Chunk | None]:
    chunks = []
    for byte in text.encode():
        choice.feed([byte], [-1.0])
        chunks.append(choice.chunk(0))
    return chunks


def test_tokens_within_a_character_are_counted_with_its_last() -> None:
    chunks = fed(writing(), "aé")

    assert chunks == [Chunk("a", num_tokens=1), None, Chunk("é", num_tokens=2)]


def test_the_end_token_is_counted_and_not_shown() -> None:
    choice = writing(logprobs=True)
    choice.feed([97, END], [-1.0, -2.0])
    choice.finish("stop")

    chunk = choice.chunk(0)

    assert chunk is not None
    assert (chunk.text, chunk.num_tokens, len(chunk.logprobs)) == ("a", 2, 1)


def test_log_probabilities_wait_for_their_text() -> None:
    chunks = fed(writing("end", logprobs=True), "then")

    assert [chunk and len(chunk.logprobs) for chunk in chunks] == [1, 1, None, None]


def test_log_probabilities_of_a_stop_string_are_not_shown() -> None:
    choice = writing("end", logprobs=True)

    chunks = fed(choice, "an end")

    assert choice.finish_reason == "stop"
    shown = [logprob.token for chunk in chunks if chunk for logprob in chunk.logprobs]
    assert "".join(shown) == "an "


def test_json_of_nothing_but_blanks_is_ended() -> None:
    choice = writing(grammar=Grammar("json_object"))

    fed(choice, "{" + " " * MOST_BLANKS)
    assert choice.finish_reason is None

    fed(choice, "\n")
    assert choice.finish_reason == "stop"
