"""Ollama's HTTP API: what it says, translated to and from our own words."""

from canteen.api.ollama.routes import DIALECT

__all__ = ["DIALECT"]
