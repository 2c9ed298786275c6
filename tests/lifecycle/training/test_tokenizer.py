"""A tokenizer trained here, and what becomes of it when it is converted."""

import random
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from canteen.core.errors import InvalidRequest
from canteen.lifecycle import openvino_ir
from canteen.lifecycle.perplexity import quality_text
from canteen.lifecycle.training import gguf_writing, tokenizer

VOCAB_SIZE = 1200
MIXTURE_BYTES = 1_000_000
# Where letters, digits, signs and blanks of all kinds are, and where plain text is not.
RANGES = (
    (0x0, 0x20),
    (0x20, 0x7F),
    (0xA0, 0x250),
    (0x300, 0x3000),
    (0x3000, 0xD7FF),
    (0xE000, 0x110000),
    (0x1F600, 0x1F640),
    (0xBC, 0xBF),
    (0x2160, 0x2170),
)
BLANKS = " \n\r\t\u00a0\u3000\u2028\u0085"


def sources() -> str:
    """Programs: what is neither prose nor noise."""
    folder = Path(sysconfig.get_path("stdlib"))
    return "\n".join(path.read_text("utf-8") for path in sorted(folder.glob("[a-e]*.py")))


def noise(number: int, random: random.Random) -> str:
    """Characters of all kinds, blanks often among them."""
    return "".join(
        random.choice(BLANKS) if random.random() < 0.2 else chr(random.randrange(*kind))
        for kind in random.choices(RANGES, k=number)
    )


def mixture() -> list[str]:
    """Texts of 1 MB in all."""
    drawn = random.Random(6)
    texts = [quality_text(), "", " ", "\n\n"]
    texts += [noise(300, drawn) for _ in range(500)]
    left = MIXTURE_BYTES - sum(len(text.encode()) for text in texts)
    programs = sources()[:left]
    while programs:
        size = drawn.randrange(1, 20_000)
        texts.append(programs[:size])
        programs = programs[size:]
    return texts


@pytest.fixture(scope="module")
def trained() -> Any:
    return tokenizer.train([quality_text(), sources()[:300_000]], VOCAB_SIZE)


def test_ids_are_those_of_the_library_over_a_megabyte_after_conversion(
    trained: Any, make_llama: Any, tmp_path: Path
) -> None:
    import openvino_genai

    (tmp_path / "out").mkdir()
    gguf_writing.write(make_llama(VOCAB_SIZE), trained, tmp_path / "model.gguf", "tiny")
    openvino_ir.convert(tmp_path / "model.gguf")
    openvino_ir.copy_tokenizer(tmp_path, tmp_path / "out")
    converted = openvino_genai.Tokenizer(str(tmp_path / "out"))
    texts = mixture()

    cut = [
        converted.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        for text in texts
        if text
    ]

    expected = [one.ids for one in trained.encode_batch([text for text in texts if text])]
    assert sum(len(text.encode()) for text in texts) >= MIXTURE_BYTES
    assert cut == expected


def test_every_text_comes_back(trained: Any) -> None:
    texts = mixture()[:200]

    ids = tokenizer.stream(trained, texts)

    whole = trained.decode(ids.tolist(), skip_special_tokens=False)
    assert whole == "".join(f"{text}{tokenizer.END}" for text in texts)


def test_a_special_token_in_a_text_is_text(trained: Any) -> None:
    ids = tokenizer.stream(trained, ["a<|endoftext|><|im_end|>b"])

    assert (ids == tokenizer.END_ID).sum() == 1
    assert ids[-1] == tokenizer.END_ID
    assert min(ids[:-1]) >= len(tokenizer.SPECIAL)


def test_a_tokenizer_that_is_kept_is_not_trained_again(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"

    first = tokenizer.kept(path, [quality_text()], 400)
    again = tokenizer.kept(path, ["another text"], 400)

    assert again.to_str() == first.to_str()
    assert [entry.name for entry in tmp_path.iterdir()] == ["tokenizer.json"]


def test_texts_that_yield_too_few_tokens_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"yields 26\d tokens and not 5,000") as refused:
        tokenizer.train(["aaaa"], 5000)

    assert refused.value.param == "vocab_size"
