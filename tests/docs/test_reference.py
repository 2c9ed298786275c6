"""The generated reference is what the program says today."""

import pytest

from docs import generate


@pytest.mark.parametrize(
    "page", ["settings.md", "cli.md", "http-api.md", "modules.md", "../the-article.md"]
)
def test_a_page_of_the_reference_is_up_to_date(page: str) -> None:
    written = (generate.REFERENCE / page).read_text()

    assert written == generate.pages()[page], "run make docs"
