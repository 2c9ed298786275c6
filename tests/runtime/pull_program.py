"""A pull as a process of its own: `pull_program.py HOME SOURCE NAME [PREPARE] [FILE_LIMIT]`."""

import asyncio
import json
import resource
import sys
from dataclasses import asdict
from pathlib import Path

from canteen.core.errors import CanteenError
from canteen.runtime.catalog import Catalog
from canteen.runtime.pull import Puller


async def main(home: str, source: str, name: str, prepare: str = "", file_limit: str = "") -> None:
    if file_limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_limit), int(file_limit)))
    catalog = Catalog(Path(home))
    puller = Puller(catalog, (prepare,)) if prepare else Puller(catalog)
    try:
        async for progress in puller.pull(source, name):
            say(asdict(progress))
    except CanteenError as exc:
        say({"error": exc.message, "code": exc.code})


def say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
