"""The OpenAPI document narrowed so that what is made of it gets past the model's name."""

from collections.abc import Iterator
from typing import Any

# Asking these would bring models from elsewhere, or be answered without end.
LEFT_OUT = frozenset({"/api/pull", "/v1/now"})
# No request made of the document names the echo models where they could be lost.
NAMES: dict[str, list[str]] = {
    "ollama.DeleteRequest": ["copied", "absent"],
    "ollama.CopyRequest": ["echo", "absent"],
    "ollama.CreateRequest": ["created", "copied"],
    "ollama.EmbedRequest": ["echo-embed"],
    "ollama.OldEmbeddingsRequest": ["echo-embed"],
    "openai.EmbeddingsRequest": ["echo-embed"],
    "native.PlanRequest": ["7B", "gpt2", "absent"],
    "native.RerankRequest": ["echo", "echo-embed"],
    "ollama.RerankRequest": ["echo", "echo-embed"],
}
USUAL_NAMES = ["echo"]
# Shorter ones would end the workers, whose ids are watched.
KEEP_ALIVES = [-1, "5m", 300.0]


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the names of models that there are, and of some that there are not."""
    schemas = {
        name: _named(schema, NAMES.get(name, USUAL_NAMES))
        for name, schema in document["components"]["schemas"].items()
    }
    paths = {
        path: {method: _without_headers(operation) for method, operation in row.items()}
        for path, row in document["paths"].items()
        if path not in LEFT_OUT
    }
    return {**document, "paths": paths, "components": {"schemas": schemas}}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and method of every operation."""
    for path, row in document["paths"].items():
        for method in row:
            yield path, method.upper()


def ends_a_worker(body: Any) -> bool:
    """Whether it keeps its model for a time of its own, which may be shorter than KEEP_ALIVES."""
    kept = body.get("keep_alive") if isinstance(body, dict) else None
    if isinstance(kept, str):
        return kept not in KEEP_ALIVES and any(letter.isdigit() for letter in kept)
    return isinstance(kept, int | float) and kept not in KEEP_ALIVES


def _without_headers(operation: dict[str, Any]) -> dict[str, Any]:
    """Without Idempotency-Key, under which every answer would be written down."""
    parameters = [one for one in operation.get("parameters", []) if one["in"] != "header"]
    return {**operation, "parameters": parameters}


def _named(schema: dict[str, Any], names: list[str]) -> dict[str, Any]:
    properties = dict(schema.get("properties", {}))
    given: dict[str, list[Any]] = {
        "model": names,
        "embedder": ["echo-embed"],
        "source": names,
        "destination": ["copied"],
        "from": ["echo", "absent"],
        "keep_alive": KEEP_ALIVES,
    }
    for key in given.keys() & properties.keys():
        properties[key] = {"enum": given[key]}
    return {**schema, "properties": properties} if properties else schema
