"""How well documents are found: nDCG, recall and the mean reciprocal rank.

Gains of nDCG (Järvelin and Kekäläinen 2002) are linear, as trec_eval's are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from canteen.lifecycle.evaluate.examples import Query
from canteen.lifecycle.evaluate.metrics import Metric, mean

DEPTHS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class Record:
    """One query: `recalls` at each of DEPTHS, and the reciprocal of the first relevant's rank."""

    id: str
    ndcg_at_10: float
    recalls: tuple[float, ...]
    reciprocal_rank: float


def record(example: Query, outcome: Sequence[str]) -> Record:
    """Judge one ranking; a document that comes twice counts where it comes first."""
    ranked = list(dict.fromkeys(outcome))
    relevant = {name: gain for name, gain in example.relevant.items() if gain > 0}
    return Record(
        example.id,
        ndcg(ranked, relevant, 10),
        tuple(recall(ranked, relevant, depth) for depth in DEPTHS),
        reciprocal_rank(ranked, relevant),
    )


def names(one: Record) -> set[str]:
    """Nothing: queries are of no class."""
    return set()


def score(one: Record) -> float:
    """Its nDCG@10."""
    return one.ndcg_at_10


def metrics(records: Sequence[Record], _names: Sequence[str]) -> tuple[Metric, ...]:
    """The means over queries."""
    return (
        mean("ndcg_at_10", [one.ndcg_at_10 for one in records]),
        *(
            mean(f"recall_at_{depth}", [one.recalls[place] for one in records])
            for place, depth in enumerate(DEPTHS)
        ),
        mean("mrr", [one.reciprocal_rank for one in records]),
    )


def ndcg(ranked: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """Gains discounted by the logarithm of their rank, of the most there could be."""
    best = _discounted(sorted(relevant.values(), reverse=True)[:depth])
    found = _discounted([relevant.get(name, 0.0) for name in ranked[:depth]])
    return found / best if best else 0.0


def recall(ranked: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """The share of the relevant among the first `depth`."""
    found = sum(name in relevant for name in ranked[:depth])
    return found / len(relevant) if relevant else 0.0


def reciprocal_rank(ranked: Sequence[str], relevant: Mapping[str, float]) -> float:
    """1 / the rank of the first relevant one."""
    first = next((rank for rank, name in enumerate(ranked, 1) if name in relevant), None)
    return 1 / first if first else 0.0


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
