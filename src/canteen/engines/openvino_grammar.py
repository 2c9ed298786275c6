"""Grammars for OpenVINO GenAI, tried where a grammar that does not compile does no harm."""

import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.generation import Grammar

MOST_KNOWN = 256
# Compiling takes seconds beyond these, while every running request waits.
MOST_REPEATS = 300
MOST_BOUND = 256
MOST_BOUNDS = 1_024

_BOUNDS = ("minLength", "maxLength", "minItems", "maxItems")
_REPEATS = re.compile(r"\{(\d+)?,?(\d+)?\}")


def structured_output(grammar: Grammar) -> Any:
    """The library's configuration for a grammar."""
    import openvino_genai

    if grammar.kind == "regex":
        return openvino_genai.StructuredOutputConfig(regex=grammar.value)
    schema = {"type": "object"} if grammar.kind == "json_object" else json.loads(grammar.value)
    loosened = _loosened(schema, _largest(sorted(_bounds(schema))))
    return openvino_genai.StructuredOutputConfig(json_schema=json.dumps(loosened))


def _loosened(schema: Any, largest: float) -> Any:
    """The schema less its bounds that are larger, which are left to the validation of the
    finished text.
    """
    if isinstance(schema, list):
        return [_loosened(item, largest) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value if key in ("const", "enum") else _loosened(value, largest)
        for key, value in schema.items()
        if not (_is_bound(key, value) and value > largest)
    }


def _largest(bounds: Sequence[float]) -> float:
    """The largest bound that is kept, where all up to it come to no more than MOST_BOUNDS."""
    totals = accumulate(bounds)
    dropped = (bound for bound, total in zip(bounds, totals, strict=True) if total > MOST_BOUNDS)
    return min(MOST_BOUND, next(dropped, MOST_BOUND + 1) - 1)


def _bounds(schema: Any) -> Iterator[float]:
    if isinstance(schema, list):
        for item in schema:
            yield from _bounds(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if _is_bound(key, value):
                yield value
            yield from _bounds(value)


def _is_bound(key: str, value: Any) -> bool:
    return key in _BOUNDS and isinstance(value, int | float)


class GrammarTrial:
    """A model of no weights with the real tokenizer, to compile grammars on.

    A grammar that does not compile raises in the pipeline's step, which from then on is broken
    for all; here it only raises. Two megabytes, and milliseconds a grammar.
    """

    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._pipeline: Any = None
        self._known: OrderedDict[Grammar, None] = OrderedDict()

    def check(self, grammar: Grammar) -> None:
        """Raise InvalidRequest for a grammar that does not compile."""
        if grammar in self._known:
            self._known.move_to_end(grammar)
            return
        _check_size(grammar)
        self._compile(grammar)
        self._known[grammar] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _compile(self, grammar: Grammar) -> None:
        import openvino_genai

        if self._pipeline is None:
            self._pipeline = self._load()
        config = openvino_genai.GenerationConfig(
            max_new_tokens=1, structured_output_config=structured_output(grammar)
        )
        try:
            self._pipeline.generate(_any_prompt(), config)
        except RuntimeError as exc:
            # The library's text names its source files.
            raise InvalidRequest(
                "the schema or pattern cannot be compiled to a grammar; use plain JSON Schema "
                "types and regular expressions without look-around",
                param="response_format",
            ) from exc

    def _load(self) -> Any:
        import openvino_genai

        with TemporaryDirectory(prefix="canteen-grammar-") as folder:
            _write_model(Path(folder), self._vocab_size)
            return openvino_genai.LLMPipeline(
                folder, self._tokenizer, "CPU", ATTENTION_BACKEND="SDPA"
            )


def _check_size(grammar: Grammar) -> None:
    is_regex = grammar.kind == "regex"
    patterns = [grammar.value] if is_regex else _patterns(_parsed(grammar))
    if any(map(_is_large, patterns)):
        raise InvalidRequest(
            f"a pattern may repeat a part at most {MOST_REPEATS} times in all",
            param="response_format",
        )


def _parsed(grammar: Grammar) -> Any:
    try:
        return json.loads(grammar.value or "{}")
    except (ValueError, RecursionError) as exc:
        raise InvalidRequest("the schema is not JSON", param="response_format") from exc


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for item in schema:
            yield from _patterns(item)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "pattern" and isinstance(value, str):
                yield value
            yield from _patterns(value)


def _is_large(pattern: str) -> bool:
    """Whether repeats within repeats, if that is what they are, come to too many."""
    product = 1
    for least, most in _REPEATS.findall(pattern):
        product *= max(int(most or least or 1), 1)
    return product > MOST_REPEATS


def _any_prompt() -> Any:
    import numpy as np
    import openvino

    return openvino.Tensor(np.zeros((1, 1), np.int64))


def _write_model(folder: Path, vocab_size: int) -> None:
    """Save a language model that finds every token equally likely."""
    import numpy as np
    import openvino
    from openvino import opset13 as ops

    inputs = {
        name: ops.parameter([-1, -1], np.int64, name=name)
        for name in ("input_ids", "attention_mask", "position_ids")
    }
    inputs["beam_idx"] = ops.parameter([-1], np.int32, name="beam_idx")
    for name, node in inputs.items():
        node.output(0).set_names({name})
    zeros = _zero(inputs["input_ids"]) + _zero(inputs["position_ids"])
    for name, axis in (("attention_mask", 1), ("beam_idx", 0)):
        zeros = zeros + ops.reduce_sum(_zero(inputs[name]), np.array([axis]), keep_dims=True)
    logits = ops.unsqueeze(zeros, np.int64(2)) + np.zeros((1, 1, vocab_size), np.float32)
    logits.output(0).set_names({"logits"})
    model = openvino.Model([logits], list(inputs.values()), "grammar_trial")
    openvino.save_model(model, folder / "openvino_model.xml")


def _zero(node: Any) -> Any:
    import numpy as np
    from openvino import opset13 as ops

    return ops.multiply(ops.convert(node, "f32"), np.float32(0))
