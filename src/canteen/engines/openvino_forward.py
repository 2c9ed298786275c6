"""A generator's IR run directly: sequences read side by side, branched, kept and gone back to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from canteen.core.errors import NotSupported

Tokens = Sequence[int]


@dataclass(frozen=True, slots=True)
class State:
    """What some sequences have read: keys and values, which of them count (shape (sequences,
    positions)), and how many tokens each has."""

    tensors: tuple[Any, ...]
    mask: Any
    lengths: Any


class Forward:
    """The model of a prepared folder in its stateful form. Not for several threads."""

    def __init__(self, folder: Path, properties: Mapping[str, Any]) -> None:
        core = openvino.Core()
        model = _picking(core.read_model(folder / "openvino_model.xml"))
        self._request = core.compile_model(model, "CPU", dict(properties)).create_infer_request()
        self.start()

    def start(self, state: State | None = None) -> None:
        """Begin one empty sequence, or go back to where a state was taken."""
        if state is None:
            self._request.reset_state()
            self._mask = np.ones((1, 0), np.int64)
            self._lengths = np.zeros(1, np.int64)
            return
        for variable, tensor in zip(self._request.query_state(), state.tensors, strict=True):
            variable.state = tensor
        self._mask, self._lengths = state.mask, state.lengths

    def state(self) -> State:
        """Where the sequences are now, as a copy."""
        tensors = tuple(
            openvino.Tensor(np.array(variable.state.data))
            for variable in self._request.query_state()
        )
        return State(tensors, self._mask, self._lengths)

    def read(
        self, rows: Sequence[Tokens], parents: Sequence[int], picks: Sequence[tuple[int, int, int]]
    ) -> list[float]:
        """Let row i go on where sequence parents[i] was, with tokens of its own; the rows are the
        sequences then. Each pick is a row, a place in its tokens, and a token: what comes back is
        the natural-log probability of that token after that place."""
        ids, is_token = _padded(rows)
        lengths = self._lengths[list(parents)]
        self._mask = np.concatenate([self._mask[list(parents)], is_token], axis=1)
        self._lengths = lengths + is_token.sum(axis=1)
        width = ids.shape[1]
        places = [row * width + place for row, place, _ in picks]
        distinct = {place: index for index, place in enumerate(dict.fromkeys(places))}
        told = [(distinct[place], pick[2]) for place, pick in zip(places, picks, strict=True)]
        self._request.infer(
            {
                "input_ids": ids,
                "attention_mask": self._mask,
                "position_ids": lengths[:, None] + np.arange(width),
                "beam_idx": np.array(parents, np.int32),
                "places": np.array(list(distinct), np.int64),
                "picks": np.array(told, np.int64),
            }
        )
        found: list[float] = self._request.get_output_tensor(0).data.tolist()
        return found


def _padded(rows: Sequence[Tokens]) -> tuple[Any, Any]:
    """Token ids filled up on the right, and which are real."""
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    is_token = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        is_token[row, : len(tokens)] = 1
    return ids, is_token


def _picking(model: Any) -> Any:
    """The model with log-probabilities of some tokens after some places in place of all logits,
    which would be most of its work and of its memory; raises NotSupported."""
    result = model.get_results()[0]
    head = result.input_value(0).get_node()
    if head.get_type_name() != "MatMul" or len(model.get_results()) != 1:
        raise NotSupported("this model's graph cannot be scored; use another model", param="model")
    hidden = head.input_value(0)
    places, picks = _input("places", [-1]), _input("picks", [-1, 2])
    width = hidden.get_partial_shape()[-1].get_length()
    flat = ops.reshape(hidden, np.array([-1, width], np.int64), special_zero=False)
    of_places = ops.gather(flat, places, np.array(0, np.int64))
    head.input(0).replace_source_output(of_places.output(0))
    model.add_parameters([places, picks])
    model.validate_nodes_and_infer_types()
    found = ops.gather_nd(ops.log_softmax(head, -1), picks)
    result.input(0).replace_source_output(found.output(0))
    model.validate_nodes_and_infer_types()
    return model


def _input(name: str, shape: list[int]) -> Any:
    parameter = ops.parameter(shape, np.int64, name=name)
    parameter.output(0).set_names({name})
    return parameter
