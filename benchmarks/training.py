"""Tokens a second of the training loop over those of a plain PyTorch loop doing the same work.

`python -m benchmarks.training [GGUF]`: a model of the size of the CPU recipe, or LoRA on a GGUF;
in turn, a few steps of each a round, and the medians of all steps.
"""

import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from canteen.lifecycle.training import hardware, weights
from canteen.lifecycle.training.batches import NO_LOSS, Batch, Examples, Order, collate
from canteen.lifecycle.training.loop import Place, Schedule, fit

ROUNDS = 4
# The first steps of a round compile kernels for new shapes; they count for neither.
STEPS, WARMUP = 8, 2
NEVER = 10**6
LEARNING_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Work:
    """What both loops do."""

    make: Any
    examples: Examples
    batch_size: int
    dtype: Any


def from_scratch() -> Work:
    """Packed sequences of 256 tokens for a model of six layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    return _work(lambda: LlamaForCausalLM(config), (256, 256), 4096)


def beside(gguf: Path) -> Work:
    """Chats of 90 to 130 tokens, their last four learnt, for LoRA on a model."""
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return _work(lambda: get_peft_model(weights.load(gguf), lora), (90, 130), 40_000, learnt=4)


def _work(make: Any, lengths: tuple[int, int], vocab_size: int, learnt: int = 0) -> Work:
    random = torch.Generator().manual_seed(0)
    examples = []
    for _ in range(256):
        length = int(torch.randint(lengths[0], lengths[1] + 1, (), generator=random))
        ids = torch.randint(100, vocab_size, (length,), generator=random).tolist()
        skipped = length - learnt if learnt else 0
        examples.append({"input_ids": ids, "labels": [NO_LOSS] * skipped + ids[skipped:]})
    device = hardware.device_for("auto")
    return Work(make, examples, 8 if learnt else 16, hardware.dtype_for("auto", device))


def ours(model: Any, work: Work) -> list[float]:
    """Tokens a second of each step, all that lies between two steps counted."""
    told: list[tuple[float, int]] = []

    def tell(event: Any) -> None:
        if event["event"] == "step":
            told.append((time.perf_counter(), event["tokens"]))

    schedule = Schedule(
        STEPS,
        work.batch_size,
        learning_rate=LEARNING_RATE,
        evaluate_every=NEVER,
        checkpoint_every=NEVER,
    )
    with TemporaryDirectory() as folder:
        fit(model, work.examples, [], schedule, Place(Path(folder), tell))
    return [
        (tokens - before) / (at - since)
        for (since, before), (at, tokens) in itertools.pairwise(told)
    ]


def plain(model: Any, work: Work) -> list[float]:
    """The same of the loop that everybody writes."""
    device = hardware.device_for("auto")
    model.to(device).train()
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, fused=True)
    made = []
    before = time.perf_counter()
    for batch in _batches(work, device):
        with torch.autocast(device, work.dtype, enabled=work.dtype != torch.float32):
            logits = model(
                input_ids=batch.input_ids,
                attention_mask=batch.mask,
                logits_to_keep=batch.targets.shape[1] + 1,
            ).logits
        loss = torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), batch.targets.flatten(), ignore_index=NO_LOSS
        )
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        after = time.perf_counter()
        made.append(batch.num_tokens / (after - before))
        before = after
    return made


def _batches(work: Work, device: str) -> Iterator[Batch]:
    order = Order([len(one["input_ids"]) for one in work.examples], work.batch_size, seed=0)
    for number in range(STEPS):
        yield collate([work.examples[i] for i in order.batch(number)], device)


def main(arguments: list[str]) -> None:
    """Print both medians, their ratio, and that of each round."""
    work = beside(Path(arguments[0])) if arguments else from_scratch()
    models = {loop: work.make() for loop in (ours, plain)}
    speeds: dict[Any, list[float]] = {loop: [] for loop in models}
    ratios = []
    for number in range(ROUNDS):
        order = list(models)[:: 1 if number % 2 else -1]
        # Ours tells a step at its end, so that its first has no beginning.
        round_ = {loop: loop(models[loop], work)[WARMUP - (loop is ours) :] for loop in order}
        for loop, made in round_.items():
            speeds[loop] += made
        ratios.append(statistics.median(round_[ours]) / statistics.median(round_[plain]))
    mine, theirs = (statistics.median(speeds[loop]) for loop in (ours, plain))
    told = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"ours {mine:,.0f} tokens/s, plain {theirs:,.0f}: {mine / theirs:.3f} (rounds: {told})")


if __name__ == "__main__":
    main(sys.argv[1:])
