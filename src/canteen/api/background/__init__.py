"""Requests that are answered in the background, by the same application as all others."""

from canteen.api.background.background import Background

__all__ = ["Background"]
