"""Prompts as named, versioned templates: a receipt says which one an answer was made with."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from canteen.core.generation import Message


@dataclass(frozen=True, slots=True)
class Template:
    """What a task says to a model, in Jinja. A change of its words is another version."""

    name: str
    version: int
    user: str
    system: str = ""

    @property
    def id(self) -> str:
        """As a receipt tells it."""
        return f"{self.name}/{self.version}"

    def messages(self, **inputs: Any) -> tuple[Message, ...]:
        """The chat that asks for the task."""
        said = (("system", self.system), ("user", self.user))
        return tuple(
            Message(role, _compiled(text).render(inputs).strip())  # type: ignore[arg-type]
            for role, text in said
            if text
        )


@lru_cache
def _compiled(text: str) -> Any:
    import jinja2

    # What is rendered is a prompt and no page.
    environment = jinja2.Environment(  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    return environment.from_string(text)
