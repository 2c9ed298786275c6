"""Which examples make a batch, and a batch as tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Example = Mapping[str, Any]
Examples = Sequence[Example]

NO_LOSS = -100
# Batches whose examples are sorted together: little padding, and still a fresh mix every epoch.
POOL = 32
# Tokens of a batch are a multiple of it: kernels are made anew for each length, and kept.
MULTIPLE = 8


class Order:
    """The examples of each batch: a function of the seed and the batch's number, nothing else.

    `lengths` are the examples' tokens; those of a batch are of similar length.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._size = batch_size
        self._seed = seed
        self.num_batches = -(-len(lengths) // batch_size)
        self._epoch = lru_cache(maxsize=1)(self._make_epoch)

    def batch(self, number: int) -> list[int]:
        """Indices of the examples of batch `number`, counted over all epochs."""
        epoch, place = divmod(number, self.num_batches)
        return self._epoch(epoch)[place]

    def _make_epoch(self, epoch: int) -> list[list[int]]:
        import numpy as np

        random = np.random.default_rng([self._seed, epoch])
        mixed = random.permutation(len(self._lengths)).tolist()
        pool = self._size * POOL
        batches = []
        for start in range(0, len(mixed), pool):
            alike = sorted(mixed[start : start + pool], key=self._lengths.__getitem__)
            batches += [alike[i : i + self._size] for i in range(0, len(alike), self._size)]
        return [batches[i] for i in random.permutation(len(batches))]


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples, filled up on the left to one length.

    `input_ids` and `mask` are (examples, tokens), `mask` None where nothing was filled up.
    `targets` are the last `targets.shape[1]` tokens, NO_LOSS where none is asked for.
    """

    input_ids: Any
    mask: Any
    targets: Any
    num_tokens: int
    num_targets: int


def collate(examples: Examples, device: str) -> Batch:
    """The examples as tensors on `device`.

    Filling up on the left puts what is learnt at the end, so that logits, which are large, are
    made for these tokens only.
    """
    import torch

    lengths = [len(example["input_ids"]) for example in examples]
    width = -(-max(lengths) // MULTIPLE) * MULTIPLE
    ids = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), width), NO_LOSS, dtype=torch.long)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    for row, example in enumerate(examples):
        start = width - lengths[row]
        ids[row, start:] = torch.as_tensor(example["input_ids"])
        labels[row, start + 1 :] = torch.as_tensor(example["labels"])[1:]
        mask[row, start:] = 1
    asked = (labels != NO_LOSS).any(dim=0).nonzero()
    first = int(asked[0]) if len(asked) else width - 1
    targets = labels[:, first:]
    return Batch(
        input_ids=ids.to(device),
        mask=None if min(lengths) == width else mask.to(device),
        targets=targets.to(device),
        num_tokens=sum(lengths),
        num_targets=int((targets != NO_LOSS).sum()),
    )
