"""The model of a plan: found in the store, among the published ones, by its file or its size."""

import json
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.planning.subject import of_card, of_config, of_file, of_name
from canteen.planning.tensors import num_parameters
from tests.cards import card
from tests.planning.shapes import LLAMA_3_8B

HEADER = {
    "general.architecture": "llama",
    "llama.block_count": 2,
    "llama.context_length": 512,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 4,
    "llama.vocab_size": 96,
}
STORED = card(name="small:latest", engine="openvino", size_bytes=7_000, metadata=HEADER)


def test_the_store_comes_before_what_is_published() -> None:
    mine = card(name="gpt2:latest", engine="openvino", metadata=HEADER)

    assert of_name("gpt2", {mine.name: mine}).spec.hidden_size == 64
    assert of_name("gpt2", {}).spec.hidden_size == 768


def test_a_model_of_the_store_weighs_what_its_files_weigh() -> None:
    subject = of_card(STORED)

    assert subject.spec.name == "small:latest"
    assert subject.weights_in(None).num_bytes == 7_000
    assert subject.weights_in("bf16").num_bytes > 7_000


def test_a_model_without_a_shape_is_looked_up_among_the_published() -> None:
    echo = card(name="echo:latest")

    with pytest.raises(InvalidRequest, match="no model 'echo' is known"):
        of_name("echo", {echo.name: echo})


def test_a_count_is_a_model_of_an_assumed_shape() -> None:
    subject = of_name("7B", {})

    assert num_parameters(subject.spec) == pytest.approx(7e9, rel=0.01)
    assert "assumed" in subject.spec.assumed


def test_near_names_come_from_the_store_too() -> None:
    with pytest.raises(InvalidRequest, match="near it: small:latest"):
        of_name("smal:latest", {STORED.name: STORED})


def test_a_config_is_the_same_as_a_file_or_as_its_content(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(LLAMA_3_8B))

    assert of_file(path).spec == of_config(LLAMA_3_8B, "sent").spec


@pytest.mark.parametrize("text", ["", "not JSON", "[1, 2]", "\x00"])
def test_a_file_that_is_no_config_is_refused_by_its_name_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    with pytest.raises(InvalidRequest, match=r"^config\.json is"):
        of_file(path)
