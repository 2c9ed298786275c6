"""Shapes of published models by name, in the words of a config.json."""

from collections.abc import Mapping
from typing import Any

from canteen.factors.table import Row, find, load

# What a row has beside the model's configuration.
_OURS = frozenset({"name", "source", "aliases", "parameters"})


def names() -> list[str]:
    """The models whose shapes are known, by their first names."""
    return [row.name for row in load("models").rows]


def aliases() -> list[str]:
    """The other names that they go by."""
    return [alias for row in load("models").rows for alias in row.fields["aliases"]]


def config(name: str) -> Mapping[str, Any]:
    """What the model's config.json says of its shape.

    Raises InvalidRequest with the nearest names for a model that is not known.
    """
    return {key: value for key, value in _row(name).fields.items() if key not in _OURS}


def source(name: str) -> str:
    """Where the shape is from, with its day."""
    table, row = load("models"), _row(name)
    told = table.sources[row.text("source")]
    return f"{told.title}, {told.as_of}"


def published_parameters(name: str) -> int:
    """The count of parameters that is published of the model."""
    return _row(name).count("parameters")


def _row(name: str) -> Row:
    by_name = {
        known: row for row in load("models").rows for known in (row.name, *row.fields["aliases"])
    }
    return by_name[find(name, by_name, "model", "model")]
