"""Preparing an embedding model, and what its quality record promises."""

import json
from pathlib import Path

import pytest

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import ModelCard, Progress
from canteen.lifecycle.embedder import measured_texts
from canteen.lifecycle.embedder_forms import pick
from canteen.lifecycle.prepare import prepare


def record(min_cosine: float, texts_per_s: float) -> dict[str, float]:
    return {"min_cosine": min_cosine, "texts_per_s": texts_per_s}


def unheard(progress: Progress) -> None:
    pass


def test_the_fastest_form_wins_if_its_worst_vector_is_true() -> None:
    assert pick([record(1, 100), record(0.9999, 200), record(0.9951, 300)]) == 2
    assert pick([record(1, 100), record(0.9999, 200), record(0.9949, 300)]) == 1


def test_the_more_exact_form_wins_a_tie_in_speed() -> None:
    assert pick([record(1, 100), record(0.9999, 200), record(0.9960, 215)]) == 1


@pytest.mark.parametrize(
    ("config", "pooling", "what"),
    [
        ({"model_type": "xlm-roberta"}, {}, "type 'xlm-roberta'"),
        ({"model_type": "bert", "hidden_act": "relu"}, {}, "BERT with gelu"),
        (
            {"model_type": "bert", "hidden_act": "gelu"},
            {"pooling_mode_mean_tokens": False},
            "average",
        ),
        ({"model_type": "bert", "hidden_act": "gelu"}, {}, r"config\.json lacks"),
    ],
)
def test_other_embedders_are_refused(
    tmp_path: Path, config: dict[str, str], pooling: dict[str, bool], what: str
) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(ModelUnsuitable, match=what):
        prepare(tmp_path, tmp_path / "out", unheard)


def test_a_damaged_config_is_refused(tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer.json"):
        (tmp_path / name).touch()
    (tmp_path / "config.json").write_text("{")

    with pytest.raises(ModelUnsuitable, match=r"config\.json .* not valid JSON"):
        prepare(tmp_path, tmp_path / "out", unheard)


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "damaged"), (b"\x02\0\0\0\0\0\0\0{}", "has no weights 'embeddings")],
)
def test_damaged_or_missing_weights_are_told(tmp_path: Path, content: bytes, what: str) -> None:
    shape = {
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "hidden_size": 4,
        "layer_norm_eps": 1e-12,
    }
    config = {"model_type": "bert", "hidden_act": "gelu", **shape}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").touch()
    (tmp_path / "model.safetensors").write_bytes(content)

    with pytest.raises(ModelUnsuitable, match=what):
        prepare(tmp_path, tmp_path / "out", unheard)


def test_the_record_of_the_embedding_model_keeps_its_promise(embedder_model: ModelCard) -> None:
    quality = embedder_model.quality

    assert quality["num_texts"] == len(measured_texts()) >= 300
    assert quality["min_cosine"] >= 0.995
    assert 0 <= quality["max_similarity_change"] < 0.05
    assert quality["bytes_after"] < quality["bytes_before"]
    assert [form["form"] for form in quality["forms"]] == ["float32", "float16", "int8 weights"]


def test_the_embedding_model_is_described(embedder_model: ModelCard) -> None:
    assert embedder_model.kind == "embedder"
    assert embedder_model.engine == "openvino-embedder"
    assert (embedder_model.context_length, embedder_model.embedding_length) == (256, 384)
    assert embedder_model.num_parameters == 22_713_216
    assert embedder_model.license == "apache-2.0"
