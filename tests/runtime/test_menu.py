"""The menu: what can be pulled by a plain name."""

import re

import pytest

from canteen.core.errors import InvalidRequest
from canteen.core.model import full_name
from canteen.runtime import sources
from canteen.runtime.menu import find, menu
from canteen.runtime.sources import BuiltinSource


def test_every_entry_has_a_full_name_a_source_and_a_licence() -> None:
    for name, entry in menu().items():
        assert full_name(name) == name
        assert entry.license == "Apache-2.0"
        assert entry.kind in ("generator", "embedder")
        source = sources.parse(entry.source)
        is_builtin = isinstance(source, BuiltinSource)
        assert is_builtin or re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert is_builtin or entry.needs_bytes > entry.download_bytes + entry.size_bytes


@pytest.mark.parametrize("name", ["smollm2:135m", "smollm2", "smollm2:latest"])
def test_the_default_model_goes_by_its_aliases(name: str) -> None:
    assert find(name) is menu()["smollm2:135m"]


@pytest.mark.parametrize("name", ["all-minilm", "all-minilm:latest", "echo", "echo-embed"])
def test_latest_may_be_left_out(name: str) -> None:
    assert find(name) is not None


def test_what_is_not_on_the_menu_is_not_found() -> None:
    assert find("gpt-7") is None
    with pytest.raises(InvalidRequest):
        find("../x")
