"""Shapes of published models: they have the parameters that are published."""

import pytest

from canteen.core.errors import InvalidRequest
from canteen.factors import models
from canteen.planning.config import from_config
from canteen.planning.tensors import num_parameters


@pytest.mark.parametrize("name", models.names())
def test_a_shape_has_the_published_parameters(name: str) -> None:
    spec = from_config(models.config(name))

    assert num_parameters(spec) == pytest.approx(models.published_parameters(name), rel=0.01)


def test_aliases_and_cases_mean_the_same_model() -> None:
    assert models.config("meta-llama/llama-3.1-8b") == models.config("llama3.1:8b")


def test_a_shape_says_where_it_is_from() -> None:
    assert models.source("gpt3") == (
        "Brown et al., Language Models are Few-Shot Learners, table 2.1, 2020-07-22"
    )


def test_an_unknown_model_lists_the_nearest() -> None:
    with pytest.raises(InvalidRequest, match=r"'lama3.1:8b'.*llama3\.1:8b"):
        models.config("lama3.1:8b")
