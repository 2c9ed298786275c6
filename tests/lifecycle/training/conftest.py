"""A model of two layers with weights of its own, and sequences that it can learn."""

import random
from collections.abc import Callable
from typing import Any

import pytest

MakeModel = Callable[[], Any]
VOCAB_SIZE = 64


@pytest.fixture
def make_model() -> MakeModel:
    """Makes the same model each time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        tie_word_embeddings=True,
    )

    def make() -> Any:
        torch.manual_seed(0)
        return LlamaForCausalLM(config)

    return make


def sequences(count: int, seed: int = 0) -> list[dict[str, list[int]]]:
    """Steps of seven, of many lengths, whose beginnings are not to be learnt."""
    drawn = random.Random(seed)
    made = []
    for _ in range(count):
        start, length = drawn.randrange(VOCAB_SIZE), drawn.randint(5, 20)
        ids = [(start + 7 * place) % VOCAB_SIZE for place in range(length)]
        made.append({"input_ids": ids, "labels": [-100] * 3 + ids[3:]})
    return made


@pytest.fixture(scope="session")
def make_llama() -> Callable[[int], Any]:
    """Makes a model of random weights for a vocabulary of so many tokens."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    def make(vocab_size: int) -> Any:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=vocab_size,
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            initializer_range=0.2,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
        )
        model: Any = LlamaForCausalLM(config)
        return model.eval()

    return make
