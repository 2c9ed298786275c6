"""Stop strings: found across the borders of tokens, and never shown, not even in part."""

from collections.abc import Sequence


class StopStrings:
    """Passes text on and holds back what may be the beginning of a stop string.

    The first stop string to be complete ends the text, however the text was cut into pieces; it
    is `hit` then.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._held = ""
        self.hit = ""

    @property
    def is_hit(self) -> bool:
        """Whether a stop string was complete."""
        return bool(self.hit)

    def feed(self, text: str) -> str:
        """Take a piece; give back what is surely not part of a stop string."""
        if not self._stops or self.hit:
            return text if not self.hit else ""
        text = self._held + text
        hits = [
            (text.find(stop) + len(stop), -len(stop), stop) for stop in self._stops if stop in text
        ]
        if hits:
            end, length, self.hit = min(hits)
            self._held = ""
            return text[: end + length]
        keep = max(_overlap(text, stop) for stop in self._stops)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def finish(self) -> str:
        """What was held back and turned out to be text."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` may be the beginning of `stop`."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
