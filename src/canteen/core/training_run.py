"""How often a training runs its model, as far as that is known beforehand."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """It learns `tokens` in so many `batches`. Each validation reads so many tokens in so many
    batches, and writes a sample."""

    tokens: int
    batches: int
    validations: int = 0
    validation_tokens: int = 0
    validation_batches: int = 0
    sample_tokens: int = 0
