"""What is learned from labelled examples."""

import numpy as np
import pytest

from canteen.lifecycle.classifiers import calibrate, head

RANDOM = np.random.default_rng(7)


def too_sure(count: int = 400, times: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `times` as large as their rightness warrants."""
    true = RANDOM.normal(size=(count, 3)) * 1.5
    shares = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    gold = np.array([RANDOM.choice(3, p=row) for row in shares])
    return true * times, gold


def test_a_model_that_is_too_sure_is_cooled_down() -> None:
    logits, gold = too_sure()

    learned = calibrate(logits.tolist(), gold.tolist())

    assert learned.temperature == pytest.approx(5, rel=0.3)
    assert learned.report["ece_after"]["high"] < learned.report["ece_before"]["low"]


def test_a_preference_for_one_label_is_taken_off() -> None:
    logits, gold = too_sure(times=1.0)

    learned = calibrate((logits + np.array([4.0, 0, 0])).tolist(), gold.tolist())

    assert learned.biases[0] - learned.biases[1] == pytest.approx(-4, abs=1)
    assert (
        learned.report["accuracy_after"]["central"] > learned.report["accuracy_before"]["central"]
    )


def test_few_examples_teach_a_temperature_only() -> None:
    learned = calibrate([[2.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0]], [0, 1, 0, 1])

    assert learned.biases == (0.0, 0.0)
    assert learned.report["num_examples"] == 4


def test_one_example_a_label_is_not_reported_on() -> None:
    learned = calibrate([[2.0, 0.0], [0.0, 2.0]], [0, 1])

    assert "accuracy_after" not in learned.report
    assert "accuracy_before" in learned.report


@pytest.mark.parametrize("num_labels", [2, 4])
def test_a_head_tells_apart_what_lies_apart(num_labels: int) -> None:
    centres = np.eye(num_labels, 8)
    gold = np.arange(120) % num_labels
    vectors = centres[gold] + RANDOM.normal(size=(120, 8)) * 0.2

    learned = head(vectors.tolist(), gold.tolist())

    assert np.array(learned.weights).shape == (num_labels, 8)
    told = (vectors @ np.array(learned.weights).T + np.array(learned.biases)).argmax(axis=1)
    assert (told == gold).mean() > 0.95
    assert learned.report["accuracy_after"]["central"] > 0.9


def test_what_is_learned_is_the_same_each_time() -> None:
    logits, gold = too_sure(60)

    assert calibrate(logits.tolist(), gold.tolist()) == calibrate(logits.tolist(), gold.tolist())
