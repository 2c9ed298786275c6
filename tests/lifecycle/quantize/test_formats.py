"""Formats by their names, with what can be asked for besides."""

from pathlib import Path

import pytest

from canteen.core.errors import InvalidRequest
from canteen.lifecycle.quantize.formats import FORMATS, read


def test_only_the_default_format_has_no_tag() -> None:
    tags = [form.tag for form in FORMATS.values()]

    assert [name for name, form in FORMATS.items() if not form.tag] == ["int8"]
    assert len(set(tags)) == len(tags)


def test_a_group_size_of_ones_own_is_in_tag_and_label() -> None:
    form = read("INT4", group_size=32)

    assert form.tag == "int4-g32"
    assert form.label == "int4, symmetric in groups of 32"
    assert read("int4", group_size=64).tag == "int4"
    assert read("int4", group_size=-1).label == "int4, symmetric per channel"


def test_texts_of_ones_own_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one text")
    (tmp_path / "b.txt").write_text("another text")

    tags = {read("int4-awq", None, str(tmp_path / name)).tag for name in ("a.txt", "b.txt")}

    assert len(tags) == 2
    assert read("int4-awq", None, "builtin").tag == "int4-awq"


@pytest.mark.parametrize(
    ("name", "group_size", "calibration", "message"),
    [
        ("int5", None, None, "no format 'int5' is made here; there are int8, int8-asym, .*, f16$"),
        ("Q4_K_M", None, None, "type of GGUF files, .*, and no format; there are int8, "),
        ("mxfp4", 64, None, "no groups to choose"),
        ("int8", 64, None, "no groups to choose"),
        ("int4", 48, None, "8, 16, 32"),
        ("nf4", None, "builtin", "looks at weights only"),
        ("int4-awq", None, "/nowhere/texts.txt", "cannot be read"),
    ],
)
def test_what_cannot_be_made_is_refused(
    name: str, group_size: int | None, calibration: str | None, message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        read(name, group_size, calibration)

    assert "/nowhere" not in refused.value.message
