"""Token ids become text as they come, whole characters only; the pieces add up to the whole."""

import codecs
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Decode = Callable[[Sequence[int]], str]

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Words, an emoji of four bytes, runs of spaces: what tells a byte vocabulary from another.
SAMPLE = " Grüße, 日本語 😀\n\n  x = [1, 22];"


class Detokenizer(Protocol):
    """Turns one sequence's tokens into text."""

    def feed(self, token_id: int) -> str:
        """The text that is certain after one more token; often empty within a character."""

    def finish(self) -> str:
        """The rest; an incomplete character becomes a replacement character."""


class Vocabulary:
    """The bytes of every token; control tokens have no text.

    `decode` is the tokenizer's own way from ids to text, used where the bytes of tokens do not
    simply add up (vocabularies of the SentencePiece kind).
    """

    def __init__(
        self, tokens: Sequence[bytes], control_ids: Collection[int], decode: Decode
    ) -> None:
        self.tokens = tokens
        self.longest = max(map(len, tokens), default=1)
        controls = set(control_ids)
        self._texts = [b"" if i in controls else token for i, token in enumerate(tokens)]
        self._decode = decode
        self._adds_up = True

    @classmethod
    def of_folder(cls, folder: Path, about: Mapping[str, Any], decode: Decode) -> "Vocabulary":
        """The vocabulary of a prepared folder, with what is told `about` it."""
        tokens = json.loads((folder / "vocabulary.json").read_text("utf-8"))
        controls = {*about["eos_token_ids"], *about["control_token_ids"]}
        return cls([token.encode("latin-1") for token in tokens], controls, decode)

    def __len__(self) -> int:
        return len(self.tokens)

    def check(self, sample_ids: Sequence[int]) -> None:
        """Find out whether bytes add up, by the ids of `SAMPLE`."""
        text = b"".join(self._texts[i] for i in sample_ids).decode("utf-8", "replace")
        self._adds_up = text == SAMPLE

    def detokenizer(self) -> Detokenizer:
        """A detokenizer for one sequence."""
        if self._adds_up:
            return ByteDetokenizer(self._texts)
        return WindowDetokenizer(self._decode)


class ByteDetokenizer:
    """For vocabularies whose tokens are byte strings: one look-up a token."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = texts
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, token_id: int) -> str:
        """See Detokenizer."""
        return self._decoder.decode(self._texts[token_id])

    def finish(self) -> str:
        """See Detokenizer."""
        return self._decoder.decode(b"", final=True)


class WindowDetokenizer:
    """For any tokenizer: decodes the last few tokens with and without the newest.

    The window starts at a token whose text is known to be complete, so that spaces which a
    decoder strips at the beginning of a text are not stripped within it.
    """

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._num_told = 0

    def feed(self, token_id: int) -> str:
        """See Detokenizer."""
        self._ids.append(token_id)
        text = self._new_text()
        if not text or text.endswith(REPLACEMENT):
            return ""
        self._ids = self._ids[self._num_told :]
        self._num_told = len(self._ids)
        return text

    def finish(self) -> str:
        """See Detokenizer."""
        text = self._new_text()
        self._num_told = len(self._ids)
        return text

    def _new_text(self) -> str:
        told = self._decode(self._ids[: self._num_told])
        return self._decode(self._ids)[len(told) :]
