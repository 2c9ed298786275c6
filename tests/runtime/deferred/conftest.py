"""What the tests of deferred requests share: an empty database of each kind, and a clock."""

from pathlib import Path

import pytest

from canteen.core.database import Tables
from canteen.metering.store import connect
from tests.databases import emptied
from tests.runtime.deferred.clock import Clock


@pytest.fixture(params=["sqlite", "postgresql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Tables:
    """A database with nothing in it."""
    if request.param == "sqlite":
        return connect(f"sqlite:///{tmp_path / 'canteen.db'}")
    return connect(emptied(str(request.getfixturevalue("postgres"))))


@pytest.fixture
def clock() -> Clock:
    """A clock that is set."""
    return Clock()
