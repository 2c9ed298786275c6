"""A corpus is whole works; some are held out, and what is none is told."""

import io
import struct
import tarfile
import zlib
from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.evaluate.packages import Archive
from canteen.lifecycle.training import corpus, texts
from canteen.lifecycle.training.corpus import Corpus
from canteen.lifecycle.training.specs import Train

TEXT = "It rained, and nobody went out. "


def write(folder: Path, **contents: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.txt").write_text(content, "utf-8")
    return folder


def spec(*names: Path | str, held_out: tuple[str, ...] = (), vocab_size: int = 300) -> Train:
    return Train(
        name="tiny:latest",
        corpus=tuple(str(name) for name in names),
        held_out=held_out,
        vocab_size=vocab_size,
    )


def titles(found: Corpus) -> tuple[list[str], list[str]]:
    return [one.title for one in found.train], [one.title for one in found.validation]


def refusal(asked: Train, home: Path) -> str:
    with pytest.raises(InvalidRequest) as refused:
        corpus.checked(asked, home)
    return refused.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three works, two of them in a folder of their own."""
    write(tmp_path / "texts", first=f"First. {TEXT * 300}")
    write(tmp_path / "texts" / "more", second=f"Second. {TEXT * 300}", third=f"Third. {TEXT * 3}")
    return tmp_path / "texts"


def test_works_are_held_out_by_the_names_of_their_files(folder: Path, tmp_path: Path) -> None:
    named = corpus.checked(spec(folder, held_out=("First",)), tmp_path)
    deeper = corpus.checked(spec(folder, held_out=("more/third.txt", "SECOND.TXT")), tmp_path)

    assert titles(named) == (["more/second.txt", "more/third.txt"], ["first.txt"])
    assert titles(deeper) == (["first.txt"], ["more/third.txt", "more/second.txt"])


def test_a_work_is_held_out_by_what_is_in_it_where_none_is_named(
    folder: Path, tmp_path: Path
) -> None:
    once = corpus.checked(spec(folder), tmp_path)
    again = corpus.checked(
        spec(folder / "more" / "third.txt", folder / "first.txt", folder), tmp_path
    )

    assert [len(part) for part in titles(once)] == [2, 1]
    assert [one.text for one in once.validation] == [one.text for one in again.validation]


def test_neither_copies_of_works_held_out_nor_hidden_files_are_learned_from(
    folder: Path, tmp_path: Path
) -> None:
    write(folder / ".hidden", fourth=TEXT)
    write(folder, copied=(folder / "more" / "third.txt").read_text("utf-8"))

    found = corpus.checked(spec(folder, held_out=("third", "first")), tmp_path)

    held_out = {one.text for one in found.validation}
    assert len(found.train) == 1
    assert all(one.text not in held_out for one in found.train)


def test_the_digest_is_of_every_work(folder: Path, tmp_path: Path) -> None:
    before = corpus.checked(spec(folder, held_out=("third",)), tmp_path).digest

    write(folder / "more", third="Third, another one.")

    assert corpus.checked(spec(folder, held_out=("third",)), tmp_path).digest != before


def test_what_cannot_be_learned_from_is_told(folder: Path, tmp_path: Path) -> None:
    write(tmp_path / "empty", nothing=" \n")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "none").mkdir()

    assert "no text 'milton'; give a file, a folder or one of shakespeare" in refusal(
        spec("milton"), tmp_path
    )
    assert "'nothing.txt' is empty" in refusal(spec(tmp_path / "empty"), tmp_path)
    assert "'latin.txt' is not in UTF-8 (byte 3)" in refusal(spec(tmp_path / "latin.txt"), tmp_path)
    assert "has no text files" in refusal(spec(tmp_path / "none"), tmp_path)
    assert "there is no corpus" in refusal(spec(), tmp_path)


def test_works_held_out_must_be_there_and_leave_others(folder: Path, tmp_path: Path) -> None:
    everything = spec(folder, held_out=("first", "second", "third"))

    assert "no work of the corpus is called 'fourth'" in refusal(
        spec(folder, held_out=("fourth",)), tmp_path
    )
    assert "every work is held out" in refusal(everything, tmp_path)
    assert "none is left to validate on" in refusal(spec(folder / "first.txt"), tmp_path)


def test_a_vocabulary_must_not_be_too_large_for_the_corpus(folder: Path, tmp_path: Path) -> None:
    told = refusal(spec(folder, vocab_size=4096), tmp_path)

    assert "a vocabulary of 4,096 tokens needs 81,920 characters of text" in told


def test_tokens_to_come_are_those_asked_for_or_estimated(folder: Path, tmp_path: Path) -> None:
    asked = spec(folder, held_out=("third",))
    works = corpus.checked(asked, tmp_path)

    told = [
        works.num_tokens(Train(name="a:b", tokens=7000)),
        works.num_tokens(Train(name="a:b", max_steps=2, batch_size=3, context_length=100)),
        works.num_tokens(Train(name="a:b", epochs=2)),
    ]

    assert told == [7000, 600, round(2 * works.num_characters / corpus.CHARACTERS_PER_TOKEN)]


def tar(**contents: bytes) -> Archive:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed.seek(0)
    return Archive(tarfile.open(fileobj=packed))


def test_a_tagged_corpus_is_read_as_it_was_printed() -> None:
    tagged = b"\n\n\tThe/at end/nn (/( so/rb )/) ,/, he/pps said/vbd :/: ``/`` Go/vb !/. ''/''\n"

    (work,) = texts.BUILT_IN["brown"].read(
        tar(**{"package/ca01": tagged, "package/cats.txt": b"ca01 news"})
    )

    assert work.title == "ca01"
    assert work.text == 'The end (so), he said: "Go!"\n'


def test_novels_are_read_out_of_r_data() -> None:
    lines = ["PRIDE", "", "It is a truth", "universally held.", "", "", "Indeed\u00e9."]
    told = b"".join(
        struct.pack(">ii", 0x40009, len(line.encode())) + line.encode() for line in lines
    )
    head = b"X\n" + struct.pack(">iiii", 3, 0x40200, 0x30500, 5) + b"UTF-8"
    packed = zlib.compress(head + struct.pack(">ii", 16, len(lines)) + told)
    content = b"".join(struct.pack(">i", len(packed)) + packed for _ in range(2))
    name = "./usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"

    works = list(texts.BUILT_IN["austen"].read(tar(**{name: content})))

    assert [work.title for work in works] == ["Pride", "Pride"]
    assert works[0].text == "PRIDE\n\nIt is a truth universally held.\n\nIndeed\u00e9.\n"


@pytest.mark.parametrize(
    ("name", "number", "held_out"),
    [("shakespeare", 42, "The Tempest"), ("brown", 500, "ca44")],
)
@pytest.mark.slow
def test_built_in_texts_are_fetched_and_hold_their_own_work_out(
    name: str, number: int, held_out: str, tmp_path: Path
) -> None:
    found = corpus.checked(spec(name), tmp_path)

    assert len(found.train) + len(found.validation) == number
    assert found.validation[0].title == held_out
    assert found.num_characters > 4_000_000
