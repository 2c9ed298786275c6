"""One choice as it is written: pieces in; text, log-probabilities and the end out."""

from collections import deque
from collections.abc import Collection, Sequence

from canteen.core.generation import Chunk, FinishReason, GenerationRequest, TokenLogprob
from canteen.engines.detokenizing import Vocabulary
from canteen.engines.stopping import StopStrings

# No JSON needs this many blanks in a row, but a small model that is allowed them may write
# nothing else.
MOST_BLANKS = 128

# Tokens, and their log-probabilities.
Alternatives = Sequence[tuple[int, float]]


class Writing:
    """Collects what becomes of a sequence between two chunks, from pieces of text."""

    def __init__(self, request: GenerationRequest) -> None:
        self.finish_reason: FinishReason | None = None
        self.is_over = False
        self._stops = StopStrings(request.sampling.stop)
        self._has_logprobs = request.logprobs
        self._is_json = request.grammar is not None and request.grammar.kind != "regex"
        self._num_blanks = 0
        self._text = ""
        self._num_tokens = 0
        self._num_characters = 0
        self._num_shown = 0
        # Log-probabilities, each with the number of characters after which it may be shown.
        self._logprobs: deque[tuple[int, TokenLogprob]] = deque()

    @property
    def stop_sequence(self) -> str:
        """The stop string that was complete; empty where none was."""
        return self._stops.hit

    def take(self, text: str, num_tokens: int, logprob: TokenLogprob | None = None) -> None:
        """Take whole characters, with the tokens that they took; sets `finish_reason` where a stop
        string is complete."""
        self._num_tokens += num_tokens
        self._num_characters += len(text)
        if self._has_logprobs and logprob is not None:
            self._logprobs.append((self._num_characters, logprob))
        self._show(self._stops.feed(text))
        if self._stops.is_hit or (self._is_json and self._has_run_blank(text)):
            self.finish_reason = "stop"

    def finish(self, reason: FinishReason) -> None:
        """No more comes; a stop string that was complete before stays the reason."""
        self.is_over = True
        if self.finish_reason:
            return
        self._show(self._stops.finish())
        self.finish_reason = "stop" if self._stops.is_hit else reason

    def chunk(self, index: int) -> Chunk | None:
        """What is to be shown since the last chunk; None where that is nothing."""
        logprobs = self._shown_logprobs()
        if not self._text and not logprobs and not self.finish_reason:
            return None
        chunk = Chunk(self._text, index, num_tokens=self._num_tokens, logprobs=logprobs)
        self._text, self._num_tokens = "", 0
        return chunk

    def _show(self, text: str) -> None:
        self._text += text
        self._num_shown += len(text)

    def _shown_logprobs(self) -> tuple[TokenLogprob, ...]:
        shown = []
        while self._logprobs and self._logprobs[0][0] <= self._num_shown:
            shown.append(self._logprobs.popleft()[1])
        return tuple(shown)

    def _has_run_blank(self, text: str) -> bool:
        self._num_blanks = self._num_blanks + len(text) if not text.strip() else 0
        return self._num_blanks > MOST_BLANKS


class TokenWriting(Writing):
    """A choice that comes as token ids of a vocabulary."""

    def __init__(
        self, request: GenerationRequest, vocabulary: Vocabulary, eos_ids: Collection[int]
    ) -> None:
        super().__init__(request)
        self.tokens: list[int] = []
        self._vocabulary = vocabulary
        self._eos_ids = eos_ids
        self._detokenizer = vocabulary.detokenizer()

    def feed(
        self,
        token_ids: Sequence[int],
        logprobs: Sequence[float],
        tops: Sequence[Alternatives] = (),
    ) -> None:
        """Take the tokens of a step, each with the likeliest in its place where `tops` are known;
        sets `finish_reason` where a stop string is complete."""
        rows = zip(token_ids, logprobs, tops or [()] * len(token_ids), strict=True)
        for token_id, logprob, top in rows:
            self.tokens.append(token_id)
            is_shown = self._has_logprobs and token_id not in self._eos_ids
            text = self._detokenizer.feed(token_id)
            self.take(text, 1, self._logprob(token_id, logprob, top) if is_shown else None)
            if self.finish_reason:
                return

    def finish(self, reason: FinishReason) -> None:
        """No more tokens come; an incomplete character becomes a replacement character."""
        if not self.finish_reason:
            rest = self._detokenizer.finish()
            self._num_characters += len(rest)
            self._show(self._stops.feed(rest))
        super().finish(reason)

    def _logprob(self, token_id: int, logprob: float, top: Alternatives = ()) -> TokenLogprob:
        token = self._vocabulary.tokens[token_id]
        tops = tuple(self._logprob(*one) for one in top)
        return TokenLogprob(token.decode("utf-8", "replace"), logprob, token, tops)
