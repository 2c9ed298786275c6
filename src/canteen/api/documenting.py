"""The OpenAPI document: what each row takes, gives and refuses."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from canteen.api.routing import Dialect, Route

REFERENCE = "#/components/schemas/"
ERRORS = {
    "400": "The request must be changed",
    "401": "No key, or not a good one, where keys are asked for",
    "403": "A Host, Origin, scope or model that is not allowed",
    "404": "No such model",
    "408": "The body stalled, or the deadline passed",
    "413": "The body is too large",
    "415": "The body has an unknown encoding",
    "429": "More than the caller may have",
    "500": "Our fault",
    "501": "This model or installation cannot do it",
    "503": "Busy or shutting down: try again after Retry-After",
}
REUSED = {"description": "The Idempotency-Key came with another request before"}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same request under the same key is answered once, and then again the same.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
NEEDS_A_REQUEST = frozenset({"400", "404", "408", "413", "415", "429", "501"})


def operation(dialect: Dialect, route: Route) -> dict[str, Any]:
    """An operation of OpenAPI 3.1 for a row."""
    described: dict[str, Any] = {
        "operationId": operation_id(dialect, route),
        "tags": [dialect.name],
        "summary": route.summary,
        "x-canteen-scope": route.scope,
        "responses": {"200": {"description": "The answer", "content": _answers(dialect, route)}},
    }
    if route.request is not None:
        schema = {"$ref": REFERENCE + _name(dialect, route.request)}
        content = {"application/json": {"schema": schema}}
        described["requestBody"] = {"required": True, "content": content}
    named = [_in_path(name) for name in re.findall(r"{(\w+)", route.path)]
    parameters = [*named, IDEMPOTENCY_KEY] if route.is_kept_by_key else named
    if parameters:
        described["parameters"] = parameters
    if route.is_kept_by_key:
        described["responses"]["422"] = REUSED
    for status, meaning in ERRORS.items():
        if route.request is not None or status not in NEEDS_A_REQUEST:
            content = {dialect.error_media_type: {"schema": {"type": "object"}}}
            described["responses"][status] = {"description": meaning, "content": content}
    return described


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def operation_id(dialect: Dialect, route: Route) -> str:
    """A name that no other operation has."""
    words = re.sub(r"\W+", "_", route.path).strip("_") or "root"
    return f"{dialect.name}_{route.method.lower()}_{words}"


def describe(dialects: Iterable[Dialect], version: str) -> dict[str, Any]:
    """The document: each row at its first place."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    for dialect in dialects:
        for route in dialect.routes:
            path = re.sub(r":\w+}", "}", dialect.prefixes[0] + route.path)
            paths.setdefault(path, {})[route.method.lower()] = operation(dialect, route)
            for model in filter(None, (route.request, route.response)):
                _add_schema(dialect, model, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Canteen", "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _name(dialect: Dialect, model: type[BaseModel]) -> str:
    """Dialects have types of the same name and another shape."""
    return f"{dialect.name}.{model.__name__}"


def _add_schema(dialect: Dialect, model: type[BaseModel], schemas: dict[str, Any]) -> None:
    schema = model.model_json_schema(ref_template=f"{REFERENCE}{dialect.name}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        schemas[f"{dialect.name}.{name}"] = definition
    schemas[_name(dialect, model)] = schema


def _answers(dialect: Dialect, route: Route) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    if route.response is not None:
        schema = {"$ref": REFERENCE + _name(dialect, route.response)}
    answers: dict[str, Any] = {"application/json": {"schema": schema}}
    if route.streams is not None:
        answers[route.streams] = {"schema": {"type": "string"}}
    return answers
