"""OpenAI's HTTP API: what it says, translated to and from our own words."""

from canteen.api.openai.routes import DIALECT

__all__ = ["DIALECT"]
