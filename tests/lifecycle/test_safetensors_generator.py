"""A language model of safetensors becomes one that the vllm engine runs, tokens and all."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models

from canteen.core.errors import ModelUnsuitable
from canteen.core.model import ModelCard, Prepared
from canteen.engines import vllm_prompts
from canteen.lifecycle.prepare import prepare
from canteen.planning.subject import has_shape, of_card
from tests.engines import tiny_llama


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tiny_llama.write(tmp_path / "source")


def prepared(source: Path) -> Prepared:
    return prepare(source, source.parent / "out", lambda _: None)


def test_it_is_taken_as_it_is_for_vllm(source: Path) -> None:
    (source / "modeling_of_its_own.py").write_text("raise SystemExit")

    made = prepared(source)

    out = source.parent / "out"
    assert (made.engine, made.architecture, made.quantization) == ("vllm", "llama", "F32")
    assert made.context_length == tiny_llama.CONTEXT_LENGTH
    assert (out / "model.safetensors").samefile(source / "model.safetensors")
    assert not list(out.glob("*.py"))


def test_its_shape_is_known_to_the_planner(source: Path) -> None:
    made = prepared(source)
    fields = {name: getattr(made, name) for name in Prepared.__dataclass_fields__}
    card = ModelCard(name="x", digest="", folder="", source="", modified_at="", **fields)

    assert has_shape(card)
    assert of_card(card).spec.hidden_size == tiny_llama.HIDDEN


def test_a_quantized_one_says_how(source: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "awq", "bits": 4}
    (source / "config.json").write_text(json.dumps(config))

    assert prepared(source).quantization == "AWQ"


def test_prompts_are_read_with_its_tokenizer_and_written_with_its_bytes(source: Path) -> None:
    prepared(source)
    prompts = vllm_prompts.VllmPrompts(source.parent / "out")
    text = "Grüße, 日本語 😀 <|begin|>"

    ids = prompts.encoded(text)

    said = prompts.vocabulary.detokenizer()
    assert "".join(map(said.feed, ids)) + said.finish() == "Grüße, 日本語 😀 "
    assert prompts.eos_ids == {ids[-1] - 1}
    assert prompts.vocab_size == len(prompts.vocabulary) == tiny_llama.VOCAB_SIZE


def test_pieces_with_a_mark_for_a_space_have_their_bytes_too(source: Path) -> None:
    pieces = ["<unk>", "<0xE2>", "\u2581the", "x"]
    tokenizer = Tokenizer(
        models.BPE(dict(zip(pieces, range(4), strict=True)), [], unk_token="<unk>")
    )
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(source / "tokenizer.json"))

    prepared(source)

    vocabulary = json.loads((source.parent / "out" / "vocabulary.json").read_text())
    assert vocabulary[1:4] == ["\xe2", " the", "x"]


@pytest.mark.parametrize("missing", ["tokenizer.json", "model.safetensors"])
def test_what_is_missing_is_named(source: Path, missing: str) -> None:
    (source / missing).unlink()

    with pytest.raises(ModelUnsuitable, match=missing.partition(".")[2]):
        prepared(source)
