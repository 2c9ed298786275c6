"""Fine-tuning: a model and chats to a better model for such chats."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.model import Progress
from canteen.core.training_run import TrainingRun
from canteen.lifecycle.gguf_source import GgufSource
from canteen.lifecycle.training import chats, data, hardware, weights
from canteen.lifecycle.training.batches import Examples
from canteen.lifecycle.training.loop import Fitted, Place, Schedule, fit
from canteen.lifecycle.training.specs import Finetune

Tell = Callable[[Mapping[str, Any]], object]

LEARNING_RATES = {"lora": 5e-4, "qlora": 5e-4, "full": 5e-5}
WARMUP_SHARE = 0.05
VALIDATIONS = 10
PARTS = ("train", "validation")
SAMPLE_TOKENS = 40
# Up to this length plain matrices take a processor less time for attention than torch's fused
# kernels (benchmarks/LOG.md); what they need of memory grows with its square.
SHORT_TOKENS = 128


def run(folder: Path, spec: Finetune, inputs: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
    """Fine-tune `inputs["gguf"]` on the folder's examples.jsonl into its result/model.gguf.

    Goes on from the last checkpoint in the folder. Raises InvalidRequest for what cannot be
    learnt from, ModelUnsuitable for what cannot be trained.
    """
    import torch

    parent = folder / inputs["gguf"]
    source = GgufSource(parent)
    _tell_progress(tell, "reading")
    reader = reader_for(source, weights.load_tokenizer(parent))
    lines = _lines(folder / "examples.jsonl")
    train, validation, dropped = _examples(lines, reader, spec, source.context_length)
    torch.manual_seed(spec.seed)
    model = _adapted(parent, spec)
    _attend(model, [*train, *validation], hardware.device_for(spec.device))
    schedule = schedule_for(spec, len(train))
    asked = next((one for one in lines if one["part"] == "validation"), lines[0])
    sample = _Sampler(model, reader, asked["messages"])
    fitted = fit(model, train, validation, schedule, Place(folder, tell, sample))
    _tell_progress(tell, "merging")
    weights.write(_merged(model, parent, spec), parent, folder / "result" / "model.gguf")
    return {**_told(fitted), "train": len(train), "validation": len(validation), "dropped": dropped}


def reader_for(source: GgufSource, tokenizer: Any) -> chats.Reader:
    """Reads chats as the engine does that serves the model."""
    bos = source.value("tokenizer.ggml.bos_token_id")
    begins = bos is not None and bool(source.value("tokenizer.ggml.add_bos_token", False))
    return chats.Reader(tokenizer, source.end_token_ids(), (int(bos),) if begins else ())


def schedule_for(spec: Finetune, num_examples: int) -> Schedule:
    """The loop's schedule for so many examples to learn from."""
    batches = -(-num_examples // spec.batch_size)
    steps = spec.max_steps or max(1, round(spec.epochs * batches / spec.accumulate))
    every = spec.evaluate_every or max(1, steps // VALIDATIONS)
    return Schedule(
        steps=steps,
        batch_size=spec.batch_size,
        accumulate=spec.accumulate,
        learning_rate=spec.learning_rate or LEARNING_RATES[spec.method],
        warmup_steps=round(WARMUP_SHARE * steps),
        seed=spec.seed,
        evaluate_every=every,
        checkpoint_every=spec.checkpoint_every or every,
        patience=spec.patience,
        device=spec.device,
        dtype=spec.dtype,
    )


def foreseen(spec: Finetune, chats: Sequence[Mapping[str, Any]]) -> TrainingRun:
    """About how often the model is run on chats, each with its part."""
    parts = {part: [one for one in chats if one["part"] == part] for part in PARTS}
    learned, held_back = parts.values()
    schedule = schedule_for(spec, len(learned))
    passes = spec.epochs
    if spec.max_steps:
        passes = spec.max_steps * spec.batch_size * spec.accumulate / len(learned)
    return TrainingRun(
        tokens=max(1, round(passes * data.num_tokens(learned))),
        batches=schedule.steps * schedule.accumulate,
        validations=-(-schedule.steps // schedule.evaluate_every),
        validation_tokens=data.num_tokens(held_back),
        validation_batches=-(-len(held_back) // spec.batch_size),
        sample_tokens=SAMPLE_TOKENS,
    )


def _told(fitted: Fitted) -> dict[str, Any]:
    return {name: value for name, value in asdict(fitted).items() if value is not None}


def _tell_progress(tell: Tell, status: str) -> None:
    tell(asdict(Progress(status)))


def _lines(path: Path) -> list[dict[str, Any]]:
    """In an order that only their content gives."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in sorted(file)]


def _examples(
    lines: Sequence[Mapping[str, Any]], reader: chats.Reader, spec: Finetune, most: int
) -> tuple[Examples, Examples, int]:
    """What is learnt from, what is validated on, and how many were too long for either."""
    made = [
        {**reader.example(line), "part": line["part"], "place": line["place"]} for line in lines
    ]
    kept = chats.within(made, min(most, spec.context_length or most), spec.too_long)
    train, validation = ([one for one in kept if one["part"] == part] for part in PARTS)
    return train, validation, len(made) - len(kept)


def _attend(model: Any, examples: Examples, device: str) -> None:
    """Choose how attention is computed."""
    longest = max(len(one["input_ids"]) for one in examples)
    is_plain = device == "cpu" and longest <= SHORT_TOKENS
    model.set_attn_implementation("eager" if is_plain else "sdpa")


def _adapted(gguf: Path, spec: Finetune) -> Any:
    """The model with what is to be trained of it."""
    if spec.method == "qlora":
        return _with_lora(_in_four_bits(gguf, spec), spec)
    model = weights.load(gguf)
    if spec.method == "full":
        return model
    device = hardware.device_for(spec.device)
    # A processor computes faster beside float32 weights, and has more memory than a GPU.
    frozen = model if device == "cpu" else model.to(hardware.dtype_for(spec.dtype, device))
    return _with_lora(frozen, spec)


def _with_lora(model: Any, spec: Finetune) -> Any:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=spec.rank,
        lora_alpha=2 * spec.rank,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def _in_four_bits(gguf: Path, spec: Finetune) -> Any:
    """The model with 4-bit weights, which only bitsandbytes on CUDA trains beside."""
    check_qlora(spec.device)
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    four_bits = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    with TemporaryDirectory(prefix="parent-") as whole:
        weights.load(gguf).to(torch.bfloat16).save_pretrained(whole)
        return AutoModelForCausalLM.from_pretrained(
            whole, quantization_config=four_bits, device_map={"": 0}
        )


def check_qlora(device: str) -> None:
    """Raises InvalidRequest where there is no CUDA device for QLoRA."""
    if hardware.device_for("auto") != "cuda" or device == "cpu":
        raise InvalidRequest(
            "qlora needs a CUDA device, and this training has none; take lora", param="method"
        )


def _merged(model: Any, parent: Path, spec: Finetune) -> Any:
    """The plain model, with what was learnt in its weights."""
    if spec.method == "full":
        return model
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    # What was learnt beside weights of fewer bits is added to the exact ones.
    exact = _with_lora(weights.load(parent), spec)
    learnt = {name: w.cpu() for name, w in get_peft_model_state_dict(model).items()}
    set_peft_model_state_dict(exact, learnt)
    return exact.merge_and_unload()


class _Sampler:
    """What the model answers to one chat, which shows how it changes."""

    def __init__(
        self, model: Any, reader: chats.Reader, messages: Sequence[Mapping[str, str]]
    ) -> None:
        self._model = model
        self._reader = reader
        self._prompt = reader.prompt(messages)

    def __call__(self, step: int) -> str:
        import torch

        ids = torch.tensor([self._prompt], device=self._model.device)
        with torch.no_grad():
            written = self._model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=SAMPLE_TOKENS,
                do_sample=False,
                eos_token_id=list(self._reader.end_token_ids),
                pad_token_id=self._reader.end_token_ids[0],
            )
        text: str = self._reader.tokenizer.decode(
            written[0, ids.shape[1] :], skip_special_tokens=True
        )
        return text
