"""A byte-level BPE tokenizer, trained so that its conversions cut text in the same places."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from canteen.core.errors import InvalidRequest

END = "<|endoftext|>"
# The last two are there for a later fine-tune on chats.
SPECIAL = (END, "<|im_start|>", "<|im_end|>")
END_ID = 0

# The reader of OpenVINO GenAI knows two ways to cut text before BPE; by this name, the one below.
PRE_TOKENIZER = "smollm"

# A model of texts goes on with a text and answers nobody: what was said stands as it is.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['content'] }}{% if not loop.last %}{{ '\\n' }}{% endif %}"
    "{% endfor %}"
)


def train(texts: Iterable[str], vocab_size: int) -> Any:
    """A `tokenizers.Tokenizer` of `vocab_size` tokens, SPECIAL first.

    Raises InvalidRequest where the texts do not yield so many.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() < vocab_size:
        raise InvalidRequest(
            f"the corpus yields {tokenizer.get_vocab_size():,} tokens and not {vocab_size:,}; "
            "give more text, or a smaller vocab_size",
            param="vocab_size",
        )
    return tokenizer


def kept(path: Path, texts: Iterable[str], vocab_size: int) -> Any:
    """The tokenizer saved at `path`, which is trained and saved first where there is none."""
    from tokenizers import Tokenizer

    if not path.exists():
        # Of several processes that train together each makes the same one.
        part = path.with_suffix(f".{os.getpid()}.part")
        train(texts, vocab_size).save(str(part))
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    return Tokenizer.from_file(str(path))


def stream(tokenizer: Any, texts: Iterable[str]) -> Any:
    """The ids of all texts in one row, END_ID after each; shape (tokens,).

    What looks like a special token in a text is text.
    """
    import numpy as np

    tokenizer.encode_special_tokens = True
    end = np.array([END_ID], np.int32)
    parts = []
    for text in texts:
        parts += [np.array(tokenizer.encode(text).ids, np.int32), end]
    return np.concatenate(parts)
