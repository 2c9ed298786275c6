"""What a training can be asked for: each field with its meaning and its limits, for every door."""

from dataclasses import dataclass
from typing import Literal

from canteen.core.asking import asked, check
from canteen.core.errors import InvalidRequest

Method = Literal["lora", "qlora", "full"]


@dataclass(frozen=True, slots=True)
class Finetune:
    """A fine-tune of a model on labelled chats, instructions or texts.

    Raises InvalidRequest, which names the field, for values beyond their limits.
    """

    model: str = asked("The model to start from, by name.", "")
    name: str = asked("The name that the result gets, as in mood:latest.", "")
    data: str = asked("A JSONL file, or a built-in classification set by its name.", "")
    method: str = asked(
        "lora: small matrices beside frozen weights; qlora: the same on 4-bit weights; full.",
        "lora",
        choices=("lora", "qlora", "full"),
    )
    rank: int = asked("Rank of LoRA's matrices.", 16, least=1, most=1024)
    learning_rate: float | None = asked(
        "Highest step size; or 5e-4 for LoRA and 5e-5 for full.", least=1e-8, most=1
    )
    epochs: float = asked("Passes over the training examples.", 3.0, least=0.001, most=1000)
    max_steps: int | None = asked("Steps at most, in place of epochs.", least=1, most=10**7)
    batch_size: int = asked("Sequences of a step on the device.", 8, least=1, most=4096)
    accumulate: int = asked("Batches whose gradients are added up.", 1, least=1, most=4096)
    context_length: int | None = asked(
        "Tokens of an example at most; or 512, or all that a smaller model holds.",
        least=16,
        most=1 << 20,
    )
    too_long: str = asked(
        "What happens to examples with more tokens: refuse them all, or drop them.",
        "refuse",
        choices=("refuse", "drop"),
    )
    max_examples: int | None = asked("A sample of so many examples.", least=2, most=10**8)
    validation_share: float = asked(
        "Share of the examples held back, chosen by hash.", 0.1, least=0.01, most=0.5
    )
    patience: int = asked(
        "Validations without gain after which it stops; 0 never does.", 3, least=0, most=1000
    )
    evaluate_every: int | None = asked(
        "Steps between validations; or a tenth.", least=1, most=10**7
    )
    checkpoint_every: int | None = asked(
        "Steps between checkpoints; or as often as it validates.", least=1, most=10**7
    )
    seed: int = asked("Seed of everything random.", 0, least=0, most=2**31 - 1)
    device: str = asked("Where to train.", "auto", choices=("auto", "cpu", "cuda"))
    dtype: str = asked(
        "Arithmetic of the passes; auto takes bfloat16 where the device has it.",
        "auto",
        choices=("auto", "float32", "bfloat16"),
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, slots=True)
class Train:
    """A model of the Llama architecture, and its tokenizer, trained from scratch.

    Raises InvalidRequest, which names the field, for values beyond their limits.
    """

    name: str = asked("The name that the result gets, as in tiny:latest.", "")
    corpus: tuple[str, ...] = asked(
        "Text files or folders, or built-in texts by name.", ("shakespeare",), flag="--corpus"
    )
    held_out: tuple[str, ...] = asked(
        "Works to validate on, by file name or title; or the built-in text's own.",
        (),
        flag="--held-out",
    )
    vocab_size: int = asked("Tokens of the tokenizer.", 4096, least=300, most=1 << 18)
    hidden_size: int = asked("Width of the model.", 256, least=16, most=1 << 16)
    num_layers: int = asked("Layers.", 6, least=1, most=1000)
    num_heads: int = asked("Heads of attention.", 4, least=1, most=1024)
    num_kv_heads: int = asked("Heads of keys and values.", 2, least=1, most=1024)
    ff_size: int = asked("Width of the feed-forward layers.", 704, least=16, most=1 << 18)
    context_length: int = asked("Tokens of a sequence.", 256, least=16, most=1 << 20)
    tokens: int | None = asked("Tokens to train on, such as 20M; or epochs.", least=1, most=10**16)
    epochs: float = asked(
        "Passes over the corpus, where tokens are not told.", 2.0, least=0.001, most=1000
    )
    max_steps: int | None = asked("Steps at most.", least=1, most=10**9)
    learning_rate: float = asked("Highest step size.", 2e-3, least=1e-8, most=1)
    batch_size: int = asked("Sequences of a step on the device.", 16, least=1, most=4096)
    accumulate: int = asked("Batches whose gradients are added up.", 1, least=1, most=4096)
    evaluate_every: int | None = asked(
        "Steps between validations; or a tenth.", least=1, most=10**7
    )
    checkpoint_every: int | None = asked(
        "Steps between checkpoints; or as often as it validates.", least=1, most=10**7
    )
    seed: int = asked("Seed of everything random.", 0, least=0, most=2**31 - 1)
    device: str = asked("Where to train.", "auto", choices=("auto", "cpu", "cuda"))
    dtype: str = asked(
        "Arithmetic of the passes; auto takes bfloat16 where the device has it.",
        "auto",
        choices=("auto", "float32", "bfloat16"),
    )
    compile: bool = asked("Compile the model first, where that pays.", False)

    def __post_init__(self) -> None:
        check(self)
        _check_shape(self)


def _check_shape(spec: Train) -> None:
    if spec.hidden_size % (2 * spec.num_heads):
        raise InvalidRequest(
            f"hidden_size must be an even multiple of num_heads ({spec.num_heads}), "
            f"not {spec.hidden_size}",
            param="hidden_size",
        )
    if spec.num_heads % spec.num_kv_heads:
        raise InvalidRequest(
            f"num_kv_heads must divide num_heads ({spec.num_heads}), and "
            f"{spec.num_kv_heads} does not",
            param="num_kv_heads",
        )
