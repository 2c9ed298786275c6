"""Evaluates every task on the built-in sets, and writes docs/evaluation.md of the runs.

Samples and seeds are fixed. A run that is there already, of the same sample and prompt, is kept,
so that what was interrupted goes on; `--again` runs all anew, `--page` only writes the page.
"""

import argparse
import asyncio
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks import evaluation_page
from canteen.cli import answers, evaluating, store
from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate import datasets, runs
from canteen.lifecycle.evaluate.evaluation import intervals, judge
from canteen.lifecycle.evaluate.examples import Dataset, Outcome, Prediction, Span, Task
from canteen.lifecycle.evaluate.runs import Run
from canteen.tasks.classify import ABOUT

ROOT = Path(__file__).parents[1]
# Where packages and runs are kept.
KEPT = ROOT / ".cache" / "evaluation"
PEERS = ROOT / ".cache" / "venvs" / "evaluation-peers" / "bin" / "python"
PEER_OF = {
    "names": "spacy",
    "movie-sentiment": "vader",
    "tweet-sentiment": "vader",
    "product-sentiment": "vader",
    "three-sentiments": "vader",
}
# From which score on VADER's authors call a text positive, where it may be neutral too.
NEUTRAL = 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """A run: a task done in one way on a sample of a data set."""

    task: Task
    dataset: str
    limit: int
    way: str = "default"
    options: Mapping[str, Any] = field(default_factory=dict)
    fit: str | None = None

    @property
    def id(self) -> str:
        """The name under which its run is kept."""
        return f"page-{self.task}-{self.dataset}-{self.way.replace(' ', '-')}"


def _ways(dataset: str, limit: int) -> tuple[Row, ...]:
    """A data set classified in every way."""
    return (
        Row("classify", dataset, limit),
        Row("classify", dataset, limit, "by score", {"method": "score"}),
        Row("classify", dataset, limit, "not debiased", {"method": "score", "debias": False}),
        Row("classify", dataset, limit, "calibrated", fit="score"),
        Row("classify", dataset, limit, "with a head", fit="head"),
    )


ROWS: tuple[Row, ...] = (
    *_ways("movie-sentiment", 300),
    *_ways("tweet-sentiment", 200),
    *_ways("product-sentiment", 200),
    *_ways("three-sentiments", 100),
    *_ways("reuters-r8", 60),
    Row("classify", "spam-assassin", 300),
    Row("classify", "spam-assassin", 300, "with a head", fit="head"),
    Row("classify", "20newsgroups", 500),
    Row("classify", "20newsgroups", 500, "with a head", fit="head"),
    Row("extract", "typed-fields", 1000),
    Row("extract", "names", 1000),
    Row("extract", "names", 50, "lists", {"method": "model"}),
    Row("extract", "presidio", 1000),
    Row("summarize", "grimm-tales", 12),
    Row("rewrite", "grimm-errors", 40),
    *(
        Row("search", name, 1000, way, options)
        for name in ("semanlink", "mail-subjects")
        for way, options in (
            ("default", {}),
            ("vectors alone", {"mode": "vector"}),
            ("words alone", {"mode": "text"}),
        )
    ),
    Row("embed", "lee", 1225),
)


def main() -> None:
    """Run what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=10_000, help="so many examples at most")
    parser.add_argument("--only", default="", help="rows whose id contains this")
    parser.add_argument("--again", action="store_true", help="run also what is there")
    parser.add_argument("--page", action="store_true", help="only write the page")
    options = parser.parse_args()
    for row in ROWS:
        if not options.page and options.only in row.id:
            short = replace(row, limit=min(row.limit, options.limit))
            if options.again or not _is_there(short):
                _run(short)
    evaluation_page.write([(row.way, found) for row in ROWS if (found := _kept(row.id))])


def _kept(run_id: str) -> Run | None:
    return runs.load(run_id, KEPT) if run_id in runs.ids(KEPT) else None


def _is_there(row: Row) -> bool:
    """Whether the same was run before: the sample, the prompt and the options."""
    run = _kept(row.id)
    if run is None or run.subject.settings["limit"] != row.limit:
        return False
    same = {**run.subject.settings, **row.options} == run.subject.settings
    prompts = ("", ABOUT.id, answers.prompt_version(row.task))
    return same and run.subject.prompt_version in prompts


def _run(row: Row) -> None:
    services = store.services()
    asked = {"pairs": (), "classifier": None, "model": None, "limit": row.limit, "fit": row.fit}
    wish = evaluating.wished(row.task, asked, services.settings.default_model)
    wish = replace(wish, options=row.options)
    dataset = datasets.load(row.dataset, row.task, KEPT).limited(row.limit)
    run = asyncio.run(evaluating.evaluated(services, wish, dataset, lambda: None))
    run = replace(run, id=row.id, baselines={**run.baselines, **_peer(dataset)})
    runs.save(run, KEPT)
    name, found = next(iter(run.metrics.items()))
    print(f"{row.id}: {name} {found.value:.3f}, {run.wall_s:.0f} s, {len(run.failed)} failed")


def _peer(dataset: Dataset) -> dict[str, Any]:
    """The figures of the peer for this set, where it is installed."""
    name = PEER_OF.get(dataset.name)
    if name is None or not PEERS.exists():
        return {}
    texts = json.dumps([one.text for one in dataset.examples])
    command = [str(PEERS), str(ROOT / "benchmarks" / "peer_answers.py"), name]
    done = subprocess.run(command, input=texts, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InvalidRequest(f"the peer {name} failed: {done.stderr[-500:]}")
    told = json.loads(done.stdout)
    outcomes: Sequence[Outcome] = (
        [tuple(Span(**one) for one in spans) for spans in told]
        if name == "spacy"
        else [Prediction(_opinion(score, dataset.labels)) for score in told]
    )
    return {name: intervals(dataset, judge(dataset, outcomes))}


def _opinion(score: float, labels: Sequence[str]) -> str:
    if "neutral" in labels and abs(score) < NEUTRAL:
        return "neutral"
    return "positive" if score >= 0 else "negative"


if __name__ == "__main__":
    main()
