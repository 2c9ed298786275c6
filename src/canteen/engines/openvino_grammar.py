"""Grammars for OpenVINO GenAI, tried where a grammar that does not compile does no harm."""

import json
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from canteen.core.errors import InvalidRequest
from canteen.core.generation import Grammar
from canteen.engines import grammar_limits

MOST_KNOWN = 256


def structured_output(grammar: Grammar) -> Any:
    """The library's configuration for a grammar."""
    import openvino_genai

    if grammar.kind == "regex":
        return openvino_genai.StructuredOutputConfig(regex=grammar.value)
    schema = json.dumps(grammar_limits.loosened(grammar))
    return openvino_genai.StructuredOutputConfig(json_schema=schema)


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
        grammar_limits.check(grammar)
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
