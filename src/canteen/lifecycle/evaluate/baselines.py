"""What a model has to beat: trivial answers, and peers that are learnt in seconds."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from canteen.lifecycle.evaluate.examples import (
    Classified,
    Corrected,
    Dataset,
    Outcome,
    Pair,
    Prediction,
    Query,
    Summarized,
    Task,
)
from canteen.lifecycle.evaluate.summaries import stop_words, words

NUM_SENTENCES = 3
_DEPTH = 100
_SENTENCE = re.compile(r"(?<=[.!?])[\"'\u201d\u2019]?\s+")

Answer = Callable[[Sequence[Any]], Sequence[Outcome]]
# Made for a data set, of which it may look at all but the gold of the examples.
Baseline = Callable[[Dataset], Answer]


def majority(dataset: Dataset) -> Answer:
    """The class that is most frequent in the train part; without one, the first label."""
    counts = Counter(one.label for one in dataset.train)
    frequent = max(counts, key=counts.__getitem__) if counts else dataset.labels[0]
    return lambda examples: [Prediction(frequent) for _ in examples]


def keyword(dataset: Dataset) -> Answer:
    """The class whose name and description have most words in the text."""
    said = {
        label: {
            word
            for word in words(f"{label} {dataset.descriptions.get(label, '')}")
            if word not in stop_words()
        }
        for label in dataset.labels
    }

    def choose(example: Classified) -> Prediction:
        inside = Counter(words(example.text))
        return Prediction(max(said, key=lambda label: sum(inside[word] for word in said[label])))

    return lambda examples: [choose(one) for one in examples]


def tfidf_svc(dataset: Dataset) -> Answer:
    """A linear support vector machine over TF-IDF, taught with the train part."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC(random_state=0))
    model.fit([one.text for one in dataset.train], [one.label for one in dataset.train])

    def answer(examples: Sequence[Classified]) -> Sequence[Outcome]:
        return [Prediction(str(label)) for label in model.predict([one.text for one in examples])]

    return answer


def no_spans(_dataset: Dataset) -> Answer:
    """Nothing found."""
    return lambda examples: [() for _ in examples]


def first_sentences(_dataset: Dataset) -> Answer:
    """The first three sentences of the text."""

    def begin(example: Summarized) -> str:
        return " ".join(_SENTENCE.split(example.text.strip())[:NUM_SENTENCES])

    return lambda examples: [begin(one) for one in examples]


def copy(_dataset: Dataset) -> Answer:
    """The text as it is."""

    def same(example: Corrected | Summarized) -> str:
        return example.source if isinstance(example, Corrected) else example.text

    return lambda examples: [same(one) for one in examples]


def given_order(dataset: Dataset) -> Answer:
    """The documents as they come, whatever is asked."""
    first = tuple(one.id for one in dataset.documents[:_DEPTH])
    return lambda examples: [first for _ in examples]


def tfidf_search(dataset: Dataset) -> Answer:
    """Documents by the cosine of their TF-IDF with the query's."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(sublinear_tf=True, stop_words="english")
    table = vectorizer.fit_transform([one.text for one in dataset.documents])
    ids = [one.id for one in dataset.documents]

    def answer(examples: Sequence[Query]) -> Sequence[Outcome]:
        near = (vectorizer.transform([one.text for one in examples]) @ table.T).toarray()
        order = (-near).argsort(axis=1, kind="stable")[:, :_DEPTH]
        return [tuple(ids[place] for place in row) for row in order]

    return answer


def shared_words(_dataset: Dataset) -> Answer:
    """The share of words that two texts have in common (Jaccard)."""

    def alike(example: Pair) -> float:
        one, other = set(words(example.first)), set(words(example.second))
        return len(one & other) / max(len(one | other), 1)

    return lambda examples: [alike(one) for one in examples]


BASELINES: Mapping[Task, Mapping[str, Baseline]] = {
    "classify": {"majority": majority, "keyword": keyword, "tfidf + svc": tfidf_svc},
    "extract": {"nothing": no_spans},
    "summarize": {"first three sentences": first_sentences, "copy": copy},
    "rewrite": {"copy": copy},
    "search": {"given order": given_order, "tfidf": tfidf_search},
    "embed": {"shared words": shared_words},
}

# What somebody would really use instead; the others are trivial. The last two are asked by
# benchmarks/evaluation.py where they are installed.
PEERS = frozenset({"tfidf + svc", "tfidf", "spacy", "vader"})


def baselines_for(dataset: Dataset) -> Mapping[str, Baseline]:
    """Those of its task; what is taught is left out where there is nothing to learn from."""
    rows = BASELINES[dataset.task]
    return rows if dataset.train else {name: rows[name] for name in rows if name != "tfidf + svc"}
