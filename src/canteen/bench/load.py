"""What is asked, and when: prompts that no cache can answer, and Poisson arrivals."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, cycle, islice
from typing import Any

import numpy as np

# Short sentences of common words, so that a word is about a token in any vocabulary.
SENTENCES = (
    "The canteen at the edge of the works fed nine hundred people a day.",
    "Whoever came late found the soup cold and the bread gone.",
    "One winter the cook began to write down who ate what.",
    "She found that the night shift went hungry while the day shift left its plates half full.",
    "She moved one pot and asked for nothing more.",
    "In the spring a new man came to run the works and read her book.",
    "He asked her why she had counted the water as well as the bread.",
    "She said that a fire burns wood and a kitchen burns hours.",
    "The river behind the hall was low that year and the wells were dry.",
    "A train brought flour twice a week and took the empty bags away.",
    "The boys who washed the plates sang loud enough to be heard in the yard.",
    "When the lights went out they ate by the glow of the ovens.",
    "An old man by the door kept a list of those who paid and those who could not.",
    "Nobody was ever sent away without a piece of bread.",
    "The book had three parts and the last one was still empty.",
    "Rain came in the summer and the wells filled up again.",
)


@dataclass(frozen=True, slots=True)
class Load:
    """The requests of a run, numbered from 1; the same seed makes the same ones.

    `prompt_tokens` are the words of a prompt, of which the first `shared_prefix_tokens` are the
    same in all of them. `deadline_s` is told to the server, and the client waits no longer.
    """

    prompt_tokens: int = 128
    max_tokens: int = 64
    shared_prefix_tokens: int = 0
    seed: int = 0
    deadline_s: float | None = None
    ignore_eos: bool = True

    def body(self, model: str, number: int) -> dict[str, Any]:
        """The body of request `number`: a streamed chat, greedy, of a fixed length."""
        body = {
            "model": model,
            "messages": list(self._messages(number)),
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": self.max_tokens,
            "temperature": 0,
        }
        return body | {"ignore_eos": True} if self.ignore_eos else body

    def _messages(self, number: int) -> Iterator[dict[str, str]]:
        shared = min(self.shared_prefix_tokens, self.prompt_tokens - 1)
        if shared:
            yield {"role": "system", "content": _prose([self.seed], shared)}
        own = _prose([self.seed, number], self.prompt_tokens - shared)
        yield {"role": "user", "content": own}


def poisson(rate_per_s: float, duration_s: float, seed: int) -> Iterator[float]:
    """Seconds from the start at which requests arrive, as long as it lasts."""
    draw = np.random.default_rng(seed)
    at_s = draw.exponential(1 / rate_per_s)
    while at_s < duration_s:
        yield at_s
        at_s += draw.exponential(1 / rate_per_s)


def _prose(seed: Sequence[int], num_words: int) -> str:
    """A number, which tells prompts apart at once, and sentences in an order of their own."""
    draw = np.random.default_rng(seed)
    number = f"{draw.integers(10**6)}."
    story = " ".join(draw.permutation(SENTENCES)).split()
    return " ".join(islice(chain([number], cycle(story)), num_words))
