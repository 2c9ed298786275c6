"""What the tests of the ledger share."""

from pathlib import Path

import pytest

from tests.databases import emptied


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'canteen.db'}"
    return emptied(str(request.getfixturevalue("postgres")))
