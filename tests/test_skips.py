"""With CI=true a skip without an excuse fails the run."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("reason", "ci", "status"),
    [
        ("no GPU here", "true", 0),
        ("no hub can be reached", "true", 0),
        ("I did not feel like it", "true", 1),
        ("I did not feel like it", "", 0),
    ],
)
def test_a_skip_needs_an_excuse_in_ci(tmp_path: Path, reason: str, ci: str, status: int) -> None:
    program = f"import pytest\n\n\ndef test_it():\n    pytest.skip({reason!r})\n"
    (tmp_path / "test_it.py").write_text(program)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "/dev/null", str(tmp_path)],
        cwd=ROOT,
        env={"CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status, done.stdout + done.stderr
