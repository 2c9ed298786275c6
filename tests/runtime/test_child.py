"""Programs on a leash: what each says is kept, and is known from what those before it said."""

from pathlib import Path

from canteen.runtime import locks
from canteen.runtime.child import child


async def _said(folder: Path, name: str) -> str:
    lock = locks.Lock(folder / "lock")
    try:
        async with child(("json.tool", str(folder / name)), folder, lock.fd) as running:
            async for _ in running.lines():
                pass
        return running.said()
    finally:
        lock.close()


async def test_a_programs_words_stay_beside_those_of_the_next(tmp_path: Path) -> None:
    first = await _said(tmp_path, "first")
    second = await _said(tmp_path, "second")

    assert "first" in first
    assert "second" in second
    assert "first" not in second
    assert (tmp_path / "log").read_text() == first + second
