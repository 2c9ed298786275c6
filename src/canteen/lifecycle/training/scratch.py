"""Training from scratch: from texts to a tokenizer and a model of the Llama architecture."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from canteen.core.training_run import TrainingRun
from canteen.lifecycle.training import bigram, corpus, gguf_writing, loop, tokenizer
from canteen.lifecycle.training.corpus import Corpus
from canteen.lifecycle.training.loop import Fitted, Place, Schedule, Tell
from canteen.lifecycle.training.specs import Train

TOKENIZER = "tokenizer.json"
WORKS = "works.jsonl"
RESULT = Path("result", "model.gguf")
WARMUP_SHARE = 0.05
WEIGHT_DECAY = 0.1
INITIAL_SPREAD = 0.02
SAMPLE_TOKENS = 48
SAMPLE_TOP_K = 40


@dataclass(frozen=True)
class Material:
    """What is learned from and validated on, as ids: each a row of all works, (tokens,)."""

    tokenizer: Any
    train: Any
    validation: Any

    @classmethod
    def of(cls, works: Corpus, vocab_size: int, path: Path) -> "Material":
        """Cut by the tokenizer that is kept at `path`, or is trained now."""
        texts = [work.text for work in works.train]
        cutter = tokenizer.kept(path, texts, vocab_size)
        held_out = [work.text for work in works.validation]
        return cls(cutter, tokenizer.stream(cutter, texts), tokenizer.stream(cutter, held_out))

    @cached_property
    def bigram_perplexity(self) -> float:
        """What an interpolated bigram model makes of the same tokens."""
        return bigram.perplexity(self.train, self.validation, self.tokenizer.get_vocab_size())


class Packed(Sequence[Mapping[str, Any]]):
    """A row of ids as sequences of `length` tokens, across the ends of works.

    Each begins with the last token of the one before, so that every token but the first is
    learned, or measured, exactly once.
    """

    def __init__(self, ids: Any, length: int) -> None:
        self._ids = ids
        self._length = min(length, len(ids))
        self._step = self._length - 1

    def __len__(self) -> int:
        return -(-(len(self._ids) - 1) // self._step)

    def __getitem__(self, number: Any) -> Any:
        start = range(len(self))[number] * self._step
        ids = self._ids[start : start + self._length]
        return {"input_ids": ids, "labels": ids}


def run(folder: Path, spec: Train, inputs: Mapping[str, Any], tell: Tell) -> Mapping[str, Any]:
    """Train as `spec` says and leave the model in `folder`; returns what it came to.

    It reads the works that are kept in the folder, or else, for a folder made by hand, those that
    `spec` names, with `inputs["home"]` for packages. Called again, it goes on from the last
    checkpoint. Raises InvalidRequest, EngineError and StorageFull.
    """
    import torch

    tell({"status": "reading the corpus"})
    works = _works(folder, spec, Path(inputs["home"]))
    tell({"status": "cutting it into tokens"})
    material = Material.of(works, spec.vocab_size, folder / TOKENIZER)
    torch.manual_seed(spec.seed)
    model = _model(spec)
    # One process alone cannot write a text with a model that several hold.
    sample = _Sampler(model, material, spec.seed) if _num_processes() == 1 else None
    fitted = _fit(model, material, spec, Place(folder, tell, sample))
    whole = _whole(model, spec)
    if _is_first():
        tell({"status": "writing"})
        gguf_writing.write(whole, material.tokenizer, folder / RESULT, spec.name)
    return _result(whole, material, fitted)


def _works(folder: Path, spec: Train, home: Path) -> Corpus:
    path = folder / WORKS
    return corpus.kept(path) if path.exists() else corpus.checked(spec, home)


def _model(spec: Train) -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=spec.vocab_size,
        hidden_size=spec.hidden_size,
        intermediate_size=spec.ff_size,
        num_hidden_layers=spec.num_layers,
        num_attention_heads=spec.num_heads,
        num_key_value_heads=spec.num_kv_heads,
        max_position_embeddings=spec.context_length,
        initializer_range=INITIAL_SPREAD,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.END_ID,
        eos_token_id=tokenizer.END_ID,
        pad_token_id=None,
    )
    return LlamaForCausalLM(config)


def _fit(model: Any, material: Material, spec: Train, place: Place) -> Fitted:
    train = Packed(material.train, spec.context_length)
    validation = Packed(material.validation, spec.context_length)
    return loop.fit(model, train, validation, schedule(spec, len(material.train)), place)


def schedule(spec: Train, num_tokens: int) -> Schedule:
    """How long a corpus of `num_tokens` is trained on, and how fast."""
    per_step = spec.batch_size * spec.accumulate * spec.context_length * _num_processes()
    steps = max(1, round((spec.tokens or spec.epochs * num_tokens) / per_step))
    steps = min(steps, spec.max_steps or steps)
    evaluate_every = spec.evaluate_every or max(1, steps // 10)
    return Schedule(
        steps=steps,
        batch_size=spec.batch_size,
        accumulate=spec.accumulate,
        learning_rate=spec.learning_rate,
        warmup_steps=round(steps * WARMUP_SHARE),
        weight_decay=WEIGHT_DECAY,
        seed=spec.seed,
        evaluate_every=evaluate_every,
        checkpoint_every=spec.checkpoint_every or evaluate_every,
        device=spec.device,
        dtype=spec.dtype,
        compile=spec.compile,
    )


def foreseen(spec: Train, works: Corpus) -> TrainingRun:
    """About how often the model is run on a corpus."""
    planned = schedule(spec, round(works.num_characters / corpus.CHARACTERS_PER_TOKEN))
    held_back = sum(len(work.text) for work in works.validation) / corpus.CHARACTERS_PER_TOKEN
    return TrainingRun(
        tokens=works.num_tokens(spec),
        batches=planned.steps * planned.accumulate,
        validations=-(-planned.steps // planned.evaluate_every),
        validation_tokens=round(held_back),
        validation_batches=math.ceil(held_back / spec.context_length / spec.batch_size),
        sample_tokens=SAMPLE_TOKENS,
    )


def _num_processes() -> int:
    """How many processes train together, as torchrun tells each of them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _whole(model: Any, spec: Train) -> Any:
    """The model with all its weights, of which each of several processes may hold a part."""
    if _num_processes() == 1:
        return model
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    weights = get_model_state_dict(model, options=options)
    whole = _model(spec)
    if _is_first():
        whole.load_state_dict(weights)
    return whole


class _Sampler:
    """Writes the beginning of a text, the same way at each step."""

    def __init__(self, model: Any, material: Material, seed: int) -> None:
        self._model = model
        self._tokenizer = material.tokenizer
        self._start = [tokenizer.END_ID]
        self._seed = seed

    def __call__(self, step: int) -> str:
        import torch

        torch.manual_seed(self._seed + step)
        start = torch.tensor([self._start], device=self._model.device)
        with torch.no_grad():
            made = self._model.generate(
                start,
                attention_mask=torch.ones_like(start),
                max_new_tokens=SAMPLE_TOKENS,
                do_sample=True,
                top_k=SAMPLE_TOP_K,
                pad_token_id=tokenizer.END_ID,
            )
        text: str = self._tokenizer.decode(made[0, 1:].tolist(), skip_special_tokens=True)
        return text.strip()


def _result(model: Any, material: Material, fitted: Fitted) -> dict[str, Any]:
    speeds = {"tokens_per_s": fitted.tokens_per_s, "mfu": fitted.mfu}
    loss = math.inf if fitted.validation_loss is None else fitted.validation_loss
    perplexity = math.exp(min(loss, 700))
    return {
        "perplexity": perplexity,
        "bigram_perplexity": material.bigram_perplexity,
        "ratio_to_bigram": perplexity / material.bigram_perplexity,
        "validation_loss": fitted.validation_loss,
        "validation_tokens": len(material.validation) - 1,
        "corpus_tokens": len(material.train),
        "tokens": fitted.tokens,
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "stopped": fitted.stopped,
        "parameters": _num_parameters(model.parameters()),
        "vocab_size": material.tokenizer.get_vocab_size(),
        "context_length": model.config.max_position_embeddings,
        **{name: value for name, value in speeds.items() if value is not None},
    }


def _num_parameters(weights: Iterable[Any]) -> int:
    return sum(weight.numel() for weight in weights)
