"""An upstream is held to the contracts of engines and embedders, against another Canteen.

Left out is what this dialect has no words for: steps, a context of the caller's choice, scores,
which stop string ended an answer, counting, regular expressions; what is extreme, each service
decides for itself.
"""

from collections.abc import Iterator

import pytest

from canteen.core.engine import StepEngine
from canteen.core.generation import EmbeddingRequest
from canteen.core.upstream import Upstream
from canteen.engines.openai import Client, OpenAIEmbedder, OpenAIEngine
from tests.contracts import test_engine as contract
from tests.contracts.stepped import Stepped
from tests.serving import Server

LEFT_OUT = {
    "test_a_prompt_can_be_counted_without_an_answer",
    "test_extreme_but_sensible_parameters_are_taken",
    "test_a_completion_ends_where_the_context_ends",
    "test_a_prompt_that_does_not_fit_is_refused_with_both_numbers",
    "test_a_regular_expression_is_obeyed",
    "test_a_request_is_cancelled_before_its_first_step",
    "test_a_stop_string_ends_the_text_and_no_part_of_it_is_shown",
    "test_no_work_is_told_of_a_step_in_which_nobody_runs",
    "test_the_work_told_is_the_prompt_that_was_not_cached_and_then_each_token",
    "test_the_work_told_of_several_choices_is_their_requests",
    "test_top_logprobs_beyond_the_engines_are_refused_by_name",
    "test_truncation_keeps_the_newest_part_and_is_counted",
}
HELD_TO = {name: test for name, test in vars(contract).items() if name.startswith("test_")}
globals().update({name: test for name, test in HELD_TO.items() if name not in LEFT_OUT})


@pytest.fixture(scope="module")
def engine(echo_server: Server) -> Iterator[StepEngine]:
    """The echo model of another Canteen."""
    where = Upstream(f"{echo_server.url}/v1", "echo")
    stepped = Stepped(OpenAIEngine(where, Client(where, lambda: ""), 8192, 64))
    yield stepped
    stepped.close()


async def test_embeddings_of_another_canteen_are_its_own(echo_server: Server) -> None:
    where = Upstream(f"{echo_server.url}/v1", "echo-embed")
    embedder = OpenAIEmbedder(where, Client(where, lambda: ""))
    texts = ("the cat sat", "a cat", "rates rose")

    together = await embedder.embed(EmbeddingRequest("r", "any", texts))
    alone = await embedder.embed(EmbeddingRequest("r", "any", texts[1:2]))
    await embedder.close()

    assert together.vectors[1] == pytest.approx(alone.vectors[0])
    assert together.usage.prompt_tokens > alone.usage.prompt_tokens > 0
