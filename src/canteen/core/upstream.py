"""Somebody else's service as a model: where it is, how it is asked, and what it asks for it."""

from dataclasses import dataclass

GENERATOR, EMBEDDER, CHAIN, POOL = "openai", "openai-embedder", "chain", "pool"
# Wordy models begin late; a caller who waits in vain should hear of it sooner than he gives up.
PATIENCE_S = 10.0
# What an upstream's context holds where nobody says.
CONTEXT_LENGTH = 32_768


@dataclass(frozen=True, slots=True)
class Upstream:
    """A model of an OpenAI-compatible service at `base_url`, which ends before `/chat/completions`.

    The key is read from `key_file`, or from the variable `key_variable`, whenever it is needed; it
    is stored nowhere. `patience_s`: an answer of which no piece comes for so long has failed.
    Prices are in USD for a million tokens, `price_of` names a model of the public list instead.
    """

    base_url: str
    model: str
    key_file: str = ""
    key_variable: str = ""
    patience_s: float = PATIENCE_S
    price_in: float | None = None
    price_out: float | None = None
    price_of: str = ""
