"""Canteen, an LLM service that says what it ate and drank: the names that users import."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from canteen.cli.client import Client
    from canteen.cli.function import LLM
    from canteen.core.version import VERSION as __version__

__all__ = ["LLM", "Client", "__version__"]

_HOMES = {
    "Client": ("canteen.cli.client", "Client"),
    "LLM": ("canteen.cli.function", "LLM"),
    "__version__": ("canteen.core.version", "VERSION"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'canteen' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
