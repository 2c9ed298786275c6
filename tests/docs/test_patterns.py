"""Each pattern names code that there is, and a test that there is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "patterns.md").read_text()
PATTERNS = {
    section.partition("\n")[0]: section for section in re.split(r"^### ", PAGE, flags=re.M)[1:]
}
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_names_its_code_and_its_test(name: str) -> None:
    code, _, proof = PATTERNS[name].partition("* Code: ")[2].partition("* Test: ")

    files = re.findall(r"`([\w./-]+)`", code)
    tests = re.findall(r"`([\w./-]+)::(\w+)`", proof)
    assert files
    assert tests
    assert [path for path in files if not (ROOT / path).is_file()] == []
    assert [test for path, test in tests if f"def {test}(" not in (ROOT / path).read_text()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_what_there_is(page: Path) -> None:
    targets = LINK.findall(page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []
