"""Classifying over HTTP against asking llama.cpp's server for the label, in turn on like weights.

Each round has texts of its own, which all methods and the peer read, so that no cache answers.
Prints rows for LOG.md; the machine should have nothing else to do.
"""

import argparse
import json
import os
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks import llama_cpp, log, q8_gguf
from benchmarks.peers import MODEL, Q8_0
from benchmarks.servers import canteen
from canteen.lifecycle.evaluate import classification, datasets
from canteen.lifecycle.evaluate.classification import Record
from canteen.lifecycle.evaluate.examples import Classified, Dataset, Prediction, shuffled
from canteen.lifecycle.evaluate.metrics import Metric
from canteen.lifecycle.evaluate.statistics import interval
from canteen.runtime.catalog import Catalog

DATASETS = ("movie-sentiment", "20newsgroups")
# A post has its subject at the start, and the peer's slots hold 1,024 tokens.
MOST_WORDS, MOST_CHARACTERS = 100, 800
# The one that the peer answered best of four that were tried; what it caches comes first.
ASK = (
    "Classify the text as one of these labels: {labels}. "
    "Answer with one of these labels and nothing else.\n\nText: {text}\n\nLabel:"
)
WARM_UP = 16
TIMEOUT_S = 3600.0
HEADER = (
    "| date | commit | machine | data | method | texts/s | over the peer | accuracy | ECE "
    "| no label |"
)


@dataclass(frozen=True)
class Method:
    """A way to have texts classified, and to how many examples it is fitted before."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fit: str = ""
    num_taught: int = 0


PEER = "free text of llama.cpp"
METHODS = (
    Method("embedding, the default"),
    Method("score, not debiased", {"method": "score", "debias": False}),
    Method("score, debiased", {"method": "score"}),
    Method("calibrated", fit="score", num_taught=200),
    Method("head", fit="head", num_taught=500),
)

# Answers for texts, in their order.
Answer = Callable[[Sequence[str]], Sequence[Prediction]]


@dataclass
class Found:
    """What rounds of a method took and gave."""

    texts_per_s: list[float] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def take(self, answer: Answer, examples: Sequence[Classified]) -> None:
        """Measure a round."""
        began_s = perf_counter()
        given = answer([one.text for one in examples])
        self.texts_per_s.append(len(examples) / (perf_counter() - began_s))
        self.records += map(classification.record, examples, given)

    def cells(self, peer: "Found") -> list[str]:
        """Median speed, the median of the rounds' ratios to the peer's, and how well."""
        pairs = zip(self.texts_per_s, peer.texts_per_s, strict=True)
        ratio = median(mine / other for mine, other in pairs)
        has_odds = any(one.confidence is not None for one in self.records)
        without = sum(not one.predicted for one in self.records) / len(self.records)
        return [
            f"{median(self.texts_per_s):.1f}",
            f"{ratio:.2f}",
            bounded(classification.accuracy(self.records)),
            bounded(classification.ece(self.records)) if has_odds else "n/a",
            f"{100 * without:.1f} %",
        ]


def ours(url: str, labels: Sequence[str], method: Method, texts: Sequence[str]) -> list[Prediction]:
    """Canteen's answers, asked for in one request."""
    asked = {"classifier": method.name} if method.fit else {"labels": labels}
    body = {"model": MODEL, "inputs": texts, **asked, **method.options}
    results = send("POST", f"{url}/v1/tasks/classify", body)["results"]
    if failed := [one["error"] for one in results if "error" in one]:
        raise SystemExit(f"{len(failed)} of {len(texts)} failed, as in {failed[0]}")
    return [Prediction(one["label"], one["probabilities"]) for one in results]


def theirs(
    url: str, labels: Sequence[str], num_slots: int, texts: Sequence[str]
) -> list[Prediction]:
    """The peer's answers, as many asked for at once as it has slots."""
    with ThreadPoolExecutor(num_slots) as pool:
        said = pool.map(partial(free_text, url, labels), texts)
        return [Prediction(named(one, labels)) for one in said]


def free_text(url: str, labels: Sequence[str], text: str) -> str:
    """What the peer says of a text."""
    asked = ASK.format(labels=", ".join(labels), text=text)
    messages = [{"role": "user", "content": asked}]
    limits = {"temperature": 0, "max_tokens": 8, "cache_prompt": True}
    answer = send("POST", f"{url}/v1/chat/completions", {"messages": messages, **limits})
    said: str = answer["choices"][0]["message"]["content"]
    return said


def named(said: str, labels: Sequence[str]) -> str:
    """The label that is named first, the longest of several there; or the only one that begins
    with what was said, where the limit cut it; or none."""
    said = said.strip().lower()
    places = {label: said.find(label.lower()) for label in labels}
    present = [label for label in labels if places[label] >= 0]
    if present:
        return min(present, key=lambda label: (places[label], -len(label)))
    begun = [label for label in labels if said and label.lower().startswith(said)]
    return begun[0] if len(begun) == 1 else ""


def send(method: str, url: str, body: Mapping[str, Any]) -> Any:
    """What a service answers to a JSON body."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        return json.load(answer)


def teach(url: str, data: Dataset, method: Method) -> None:
    """Fit the classifier of a method."""
    taught = sample(data.train, method.num_taught)
    examples = [{"text": one.text, "label": one.label} for one in taught]
    body = {"model": MODEL, "method": method.fit, "labels": data.labels, "examples": examples}
    send("PUT", f"{url}/v1/classifiers/{method.name}", body)


def sample(examples: Sequence[Classified], number: int) -> list[Classified]:
    """So many of the examples, always the same, cut to the length that is measured."""
    by_id = {one.id: one for one in examples}
    return [
        replace(by_id[key], text=cut(by_id[key].text)) for key in shuffled(list(by_id))[:number]
    ]


def cut(text: str) -> str:
    """The beginning of a text."""
    return " ".join(text.split()[:MOST_WORDS])[:MOST_CHARACTERS]


def bounded(metric: Metric) -> str:
    """A figure with its 95 % interval."""
    found = interval(metric)
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def measured(
    answers: Mapping[str, Answer], examples: Sequence[Classified], num_texts: int
) -> dict[str, Found]:
    """All by turns, so many texts a round; some to warm up go first."""
    warm_up, rest = examples[:WARM_UP], examples[WARM_UP:]
    for answer in answers.values():
        answer([one.text for one in warm_up])
    found = {name: Found() for name in answers}
    for start in range(0, len(rest), num_texts):
        for name, answer in answers.items():
            found[name].take(answer, rest[start : start + num_texts])
    return found


@contextmanager
def borrowed(home: Path) -> Iterator[Path]:
    """A home with the models of another, and classifiers of its own."""
    with tempfile.TemporaryDirectory() as folder:
        for part in ("models", "prepared"):
            Path(folder, part).symlink_to((home / part).absolute())
        yield Path(folder)


def q8_weights(home: Path) -> Path:
    """The peer's file, made where it is missing."""
    if not Q8_0.exists():
        catalog = Catalog(home.absolute())
        q8_gguf.write(catalog.blob_path(catalog.get(MODEL).digest), Q8_0)
    return Q8_0


def answers(
    our_url: str, their_url: str, labels: Sequence[str], num_slots: int
) -> dict[str, Answer]:
    """Every method, and the peer, by name."""
    methods: dict[str, Answer] = {
        method.name: partial(ours, our_url, labels, method) for method in METHODS
    }
    return {**methods, PEER: partial(theirs, their_url, labels, num_slots)}


def main() -> None:
    """Measure each data set, and print its rows."""
    options = arguments()
    weights = q8_weights(options.home)
    num_texts = WARM_UP + options.rounds * options.texts
    print(f"load of the machine {os.getloadavg()[0]:.1f}\n{HEADER}\n{'|---' * HEADER.count('| ')}|")
    with (
        borrowed(options.home) as home,
        canteen(home) as our,
        llama_cpp.serving(weights, MODEL, options.slots, is_native=options.native) as their,
    ):
        for name in options.data:
            data = datasets.load(name, "classify", options.data_home)
            for method in METHODS:
                if method.fit:
                    teach(our.url, data, method)
            asked = answers(our.url, their.url, data.labels, options.slots)
            found = measured(asked, sample(data.examples, num_texts), options.texts)
            for way, one in found.items():
                print(log.row(name, way, *one.cells(found[PEER])), flush=True)


def arguments() -> argparse.Namespace:
    """What the command was given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cache/home"))
    parser.add_argument("--data-home", type=Path, default=Path(".cache/evaluation"))
    parser.add_argument("--data", nargs="+", default=DATASETS)
    parser.add_argument("--native", action="store_true", help="a peer built for this processor")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
