"""Models as this dialect describes them; pure."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from canteen.core.model import ModelCard
from canteen.runtime.history import Event
from canteen.runtime.slot import LoadedModel

Json = dict[str, Any]
# For a model that is kept for ever; every client's date type can hold it.
NEVER = "9999-12-31T23:59:59Z"
BILLION, MILLION, THOUSAND = 10**9, 10**6, 10**3


def tags(cards: Sequence[ModelCard]) -> Json:
    """The models of the store, newest first."""
    newest = sorted(cards, key=lambda card: card.modified_at, reverse=True)
    return {"models": [_stored(card) for card in newest]}


def running(models: Sequence[LoadedModel], events: Sequence[Event]) -> Json:
    """The models in memory, and why others are not. What Ollama does not say stands apart: some
    clients read the entries of `models` strictly.
    """
    last = {event.model: _event(event) for event in events}
    gone = {event.model: _gone(event) for event in events}
    here = {model.card.name: _state(model, last.get(model.card.name)) for model in models}
    return {
        "models": [_running(model) for model in models if model.state != "waiting"],
        "states": {**gone, **here},
    }


def shown(card: ModelCard, capabilities: Collection[str]) -> Json:
    """All that is known of a model."""
    return {
        "license": card.license,
        "modelfile": _modelfile(card),
        "parameters": _parameters(card, "{key:<30} {value}"),
        "template": card.template,
        "system": card.system,
        "details": details(card),
        "messages": [dict(message) for message in card.messages],
        "model_info": _info(card),
        "tensors": [],
        "modified_at": card.modified_at,
        "capabilities": list(capabilities),
    }


def details(card: ModelCard) -> Json:
    """What kind of model it is."""
    return {
        # A model made of uploaded files and changed at once is derived from itself.
        "parent_model": card.parent if card.parent != card.name else "",
        "format": card.format,
        "family": card.architecture,
        "families": [card.architecture],
        "parameter_size": parameter_size(card.num_parameters),
        "quantization_level": card.quantization,
    }


def parameter_size(number: int) -> str:
    """134515008 is 134.52M, 7000000000 is 7B."""
    if number >= BILLION:
        text = f"{number / BILLION:.1f}"
        return f"{text.removesuffix('.0')}B"
    if number >= MILLION:
        text = f"{number / MILLION:.2f}"
        return f"{text.removesuffix('.00')}M"
    return f"{number / THOUSAND:.0f}K" if number >= THOUSAND else str(number)


def _identity(card: ModelCard) -> Json:
    digest = card.digest.removeprefix("sha256:")
    return {"name": card.name, "model": card.name, "digest": digest, "details": details(card)}


def _stored(card: ModelCard) -> Json:
    return {**_identity(card), "modified_at": card.modified_at, "size": card.size_bytes}


def _running(model: LoadedModel) -> Json:
    return {
        **_identity(model.card),
        "size": model.memory_bytes or model.counted_bytes,
        "size_vram": 0,
        "expires_at": NEVER if model.expires_at is None else _moment(model.expires_at),
        "context_length": model.context_length,
    }


def _state(model: LoadedModel, event: Json | None) -> Json:
    return {
        "state": model.state,
        "why": _why(model),
        "counted_bytes": model.counted_bytes,
        "counted_by": "measurement" if model.is_measured else "estimate",
        "loaded_at": model.loaded_at and _moment(model.loaded_at),
        "last_used_at": model.last_used_at and _moment(model.last_used_at),
        "last_event": event,
        **({"circuit": model.circuit} if model.circuit else {}),
    }


def _gone(event: Event) -> Json:
    return {"state": "unloaded", "why": f"{event.what}: {event.why}", "last_event": _event(event)}


def _event(event: Event) -> Json:
    return {"what": event.what, "why": event.why, "at": _moment(event.at)}


def _moment(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def _why(model: LoadedModel) -> str:
    if model.state == "waiting":
        return f"waits for memory for {model.num_waiting} requests"
    if model.state == "unloading":
        return "takes no new requests and goes when its last answer is whole"
    if model.state == "loading":
        return f"being loaded for {model.num_waiting} requests"
    if model.state == "asleep":
        return "asleep: its device is free, and the next request wakes it from host memory"
    if model.state == "restarting":
        return f"its process ended and is started again (restart {model.num_restarts})"
    if model.state == "circuit_open":
        return "it failed too often and is left alone, until a probe of one token goes well"
    if model.num_running or model.num_waiting:
        return f"answers {model.num_running} requests, {model.num_waiting} wait"
    kept = "for ever" if model.expires_at is None else "until expires_at"
    return f"idle; its last keep_alive keeps it {kept}"


def _info(card: ModelCard) -> Json:
    return {
        "general.architecture": card.architecture,
        "general.parameter_count": card.num_parameters,
        f"{card.architecture}.context_length": card.context_length,
        f"{card.architecture}.embedding_length": card.embedding_length,
        **card.metadata,
    }


def _parameters(card: ModelCard, form: str) -> str:
    """One line for each value: a list is several."""
    lines = []
    for key, values in card.parameters.items():
        for value in values if isinstance(values, list) else [values]:
            lines.append(form.format(key=key, value=json.dumps(value, ensure_ascii=False)))
    return "\n".join(lines)


def _modelfile(card: ModelCard) -> str:
    lines = [f"FROM {card.parent or card.name}"]
    if card.template:
        lines.append(f'TEMPLATE """{card.template}"""')
    if card.system:
        lines.append(f'SYSTEM """{card.system}"""')
    if card.parameters:
        lines.append(_parameters(card, "PARAMETER {key} {value}"))
    lines += [f"MESSAGE {turn.get('role')} {turn.get('content')}" for turn in card.messages]
    if card.license:
        lines.append(f'LICENSE """{card.license}"""')
    return "\n".join(lines) + "\n"
