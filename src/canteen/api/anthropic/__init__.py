"""Anthropic's Messages API: what it says, translated to and from our own words."""

from canteen.api.anthropic.routes import DIALECT

__all__ = ["DIALECT"]
