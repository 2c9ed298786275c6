"""What of a model's sentences was left out of a summary, and how that is told."""

from collections import Counter
from dataclasses import dataclass, field

from canteen.tasks.sieve import Fault, Sieve

# Of what the model made up, so many things are told.
MOST_NAMED = 5
# Faults that say something about the model; the others are left out of any text.
_TOLD: dict[Fault, str] = {
    "repeated": "said again what was said",
    "off the text": "shared few words with the text",
    "unfounded": "told what the text does not",
}


@dataclass(slots=True)
class Findings:
    """Of all the parts of a text; of `quoted` ones nothing held up."""

    faults: "Counter[Fault]" = field(default_factory=Counter)
    unfounded: dict[str, None] = field(default_factory=dict)
    quoted: int = 0

    def add(self, sieve: Sieve) -> None:
        """What one sieve left out."""
        self.faults.update(sieve.faults)
        self.unfounded.update(dict.fromkeys(sieve.unfounded))

    def told(self, parts: int) -> list[str]:
        """A line for each kind of finding."""
        lines = [self._left_out(fault) for fault in _TOLD if self.faults[fault]]
        if self.quoted:
            some = "1 part" if self.quoted == 1 else f"{self.quoted} parts"
            of = "the text" if parts == 1 else some
            lines.append(
                f"nothing the model wrote of {of} held up; sentences of the text stand there"
            )
        return lines

    def _left_out(self, fault: Fault) -> str:
        count = self.faults[fault]
        were = "was" if count == 1 else "were"
        named = ", ".join(list(self.unfounded)[:MOST_NAMED]) if fault == "unfounded" else ""
        said = f"{num_sentences(count)} of the model {_TOLD[fault]}, and {were} left out"
        return f"{said}: {named}" if named else said


def num_sentences(count: int) -> str:
    """As it is read."""
    return "1 sentence" if count == 1 else f"{count} sentences"
