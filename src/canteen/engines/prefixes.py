"""A mirror of an engine's prefix cache, where the engine does not tell what it found there."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence


class PrefixMirror:
    """Knows which blocks of tokens a prefix cache of `num_blocks` blocks holds.

    Blocks are of `block_size` tokens and known by all the tokens up to their end; the last block
    of a sequence that ended may be shorter. What is used least recently is forgotten first.
    Where the engine forgets in another order, the mirror is off by what was forgotten; below its
    capacity it agrees with the engine, which may know a few tokens more.
    """

    def __init__(self, num_blocks: int, block_size: int) -> None:
        self._num_blocks = num_blocks
        self._block_size = block_size
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def cached_tokens(self, tokens: Sequence[int]) -> int:
        """How many tokens at the beginning need no prefill; the last one always does."""
        before = num_tokens = 0
        for end, block in self._full(tokens):
            if block not in self._blocks:
                break
            before, num_tokens = block, end
        num_tokens += self._num_in_short_block(before, tokens[num_tokens:])
        return min(num_tokens, len(tokens) - 1)

    def add(self, tokens: Sequence[int], *, has_ended: bool = False) -> None:
        """Note that these tokens were computed, one sequence from its beginning."""
        before = 0
        for _, before in self._full(tokens):
            self._note(before)
        if has_ended and (num_rest := len(tokens) % self._block_size):
            self._note(hash((before, *tokens[-num_rest:])))
        while len(self._blocks) > self._num_blocks:
            self._blocks.popitem(last=False)

    def _note(self, block: int) -> None:
        self._blocks[block] = None
        self._blocks.move_to_end(block)

    def _num_in_short_block(self, before: int, rest: Sequence[int]) -> int:
        lengths = range(1, min(len(rest) + 1, self._block_size))
        # OpenVINO GenAI takes the shortest too.
        found = (n for n in lengths if hash((before, *rest[:n])) in self._blocks)
        return next(found, 0)

    def _full(self, tokens: Sequence[int]) -> Iterator[tuple[int, int]]:
        """The end of each full block, and what it is known by."""
        block = 0
        for end in range(self._block_size, len(tokens) + 1, self._block_size):
            block = hash((block, *tokens[end - self._block_size : end]))
            yield end, block
