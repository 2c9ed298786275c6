"""A mirror of an engine's prefix cache, where the engine does not tell what it found there."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence


class PrefixMirror:
    """Knows which blocks of tokens a prefix cache of `num_blocks` blocks holds.

    Blocks are full, of `block_size` tokens, and known by all the tokens up to their end. What is
    used least recently is forgotten first. Where the engine forgets in another order, the mirror
    is off by what was forgotten; below its capacity it is exact.
    """

    def __init__(self, num_blocks: int, block_size: int) -> None:
        self._num_blocks = num_blocks
        self._block_size = block_size
        self._blocks: OrderedDict[int, None] = OrderedDict()

    def cached_tokens(self, tokens: Sequence[int]) -> int:
        """How many tokens at the beginning need no prefill; the last one always does."""
        num_hits = 0
        for block in self._hashes(tokens):
            if block not in self._blocks:
                break
            num_hits += 1
        return min(num_hits * self._block_size, len(tokens) - 1)

    def add(self, tokens: Sequence[int]) -> None:
        """Note that these tokens were computed, one sequence from its beginning."""
        for block in self._hashes(tokens):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > self._num_blocks:
            self._blocks.popitem(last=False)

    def _hashes(self, tokens: Sequence[int]) -> Iterator[int]:
        before = 0
        for end in range(self._block_size, len(tokens) + 1, self._block_size):
            before = hash((before, *tokens[end - self._block_size : end]))
            yield before
