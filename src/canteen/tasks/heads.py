"""Linear classifiers on embeddings: what a fitted one says of a vector."""

import math
from collections.abc import Sequence

from canteen.core.classifier import Classifier
from canteen.tasks.choosing import softmax


def probabilities(classifier: Classifier, vector: Sequence[float]) -> tuple[float, ...]:
    """Of each label, told by a vector of the embedder that the classifier was fitted to."""
    logits = [
        dot(row, vector) + bias
        for row, bias in zip(classifier.weights, classifier.biases, strict=True)
    ]
    return softmax(logits)


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """The product of two vectors; of unit vectors, their cosine."""
    return math.fsum(a * b for a, b in zip(one, other, strict=True))
