"""What a prepared folder says of its model, for the engine that loads it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "canteen.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Tokens:
    """What an engine must know of a vocabulary beside its bytes."""

    eos_token_ids: Sequence[int]
    control_token_ids: Sequence[int]
    bos_token_id: int | None
    add_bos_token: bool


def write_generator(
    folder: Path, tokens: Tokens, context_length: int, vocab_size: int, template: str
) -> None:
    """Describe a model that generates; the template is its chat template, empty for none."""
    write(
        folder,
        kind="generator",
        context_length=context_length,
        vocab_size=vocab_size,
        bos_token_id=tokens.bos_token_id,
        eos_token_ids=list(tokens.eos_token_ids),
        control_token_ids=list(tokens.control_token_ids),
        add_bos_token=tokens.add_bos_token,
        chat_template=template,
    )


def write(folder: Path, **told: Any) -> None:
    """Write the description."""
    write_json(folder / FILE, {"schema": SCHEMA, **told})


def write_json(path: Path, value: Any) -> None:
    """Write `value` as compact JSON."""
    path.write_text(json.dumps(value, separators=(",", ":")), "utf-8")
