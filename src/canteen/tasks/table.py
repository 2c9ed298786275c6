"""The tasks there are, for every door: what one is asked, and what does it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from canteen.tasks import classify, extract, rewrite, summarize
from canteen.tasks.model import Model


@dataclass(frozen=True, slots=True)
class Task:
    """A task. `request` is a dataclass whose first field is the text and whose others are made
    with `asked`; `run` gives a dataclass, and what a person reads of it is `told`. In place of a
    text one that `takes_documents` is given the document, where there is one."""

    name: str
    about: str
    request: type[Any]
    run: Callable[[Model, Any], Awaitable[Any]]
    told: Callable[[Any], str]
    prompt_version: str
    takes_documents: bool = False

    def version_of(self, request: Any) -> str:
        """The prompt that a request is answered by, where it is another than the usual one."""
        return getattr(request, "prompt_version", self.prompt_version)


TASKS = {
    one.name: one
    for one in (
        Task(
            "classify",
            "Which of your labels a text bears, with probabilities",
            classify.ClassifyRequest,
            classify.classify,
            classify.told,
            classify.PROMPT.id,
        ),
        Task(
            "extract",
            "The entities of a text, or the values of a schema, each with its place in it",
            extract.ExtractRequest,
            extract.extract,
            extract.told,
            extract.PROMPT_VERSION,
        ),
        Task(
            "summarize",
            "What a text or document of any length says, in few sentences",
            summarize.SummarizeRequest,
            summarize.summarize,
            summarize.told,
            summarize.PROMPT.id,
            takes_documents=True,
        ),
        Task(
            "rewrite",
            "The same said otherwise: in another tone, for other readers, correct, translated",
            rewrite.RewriteRequest,
            rewrite.rewrite,
            rewrite.told,
            rewrite.PROMPT.id,
        ),
    )
}
