"""Bars on a terminal for long work, plain lines elsewhere."""

import sys
from collections.abc import AsyncIterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import (
    Progress as Bars,
)

from canteen.core.model import Progress


async def show(steps: AsyncIterator[Progress], *, is_quiet: bool = False) -> None:
    """Run the work to its end, telling standard error how far it is."""
    if is_quiet:
        async for _ in steps:
            pass
    elif sys.stderr.isatty():
        await _bars(steps)
    else:
        await _lines(steps)


async def _lines(steps: AsyncIterator[Progress]) -> None:
    said = ""
    async for step in steps:
        if step.status != said:
            said = step.status
            print(said, file=sys.stderr, flush=True)


class _Amount(ProgressColumn):
    """Bytes where there is a digest, items otherwise, nothing where there is no total."""

    _bytes = DownloadColumn()
    _items = MofNCompleteColumn()

    def render(self, task):  # type: ignore[no-untyped-def]
        if not task.total:
            return ""
        return (self._bytes if task.fields.get("is_bytes") else self._items).render(task)


async def _bars(steps: AsyncIterator[Progress]) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), _Amount(), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}
        last: TaskID | None = None
        async for step in steps:
            if step.status not in tasks:
                _finish(bars, last)
                tasks[step.status] = bars.add_task(step.status, is_bytes=bool(step.digest))
            last = tasks[step.status]
            bars.update(last, total=step.total or None, completed=step.completed)
        _finish(bars, last)


def _finish(bars: Bars, task: TaskID | None) -> None:
    if task is not None:
        total = bars.tasks[task].total or 1
        bars.update(task, total=total, completed=total)
