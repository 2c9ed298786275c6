"""The gateway is killed under load: its workers end, and the next one finds everything in order."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import httpx

from canteen.runtime.catalog import Catalog
from tests import serving
from tests.e2e.chats import Answer, Chat, ask, until
from tests.serving import Server, set_pace

NUM_STREAMS = 8
ENDLESS = Chat(num_tokens=4000)
STEPS_PER_S = 20.0


async def test_a_killed_gateway_leaves_no_worker_no_lock_and_a_store_as_it_was(
    echo_home: Path, tmp_path: Path, serve: Callable[..., Server]
) -> None:
    set_pace(echo_home, tokens_per_s=STEPS_PER_S)
    server = serve(echo_home)
    store = Catalog(echo_home).list()
    answers = [Answer() for _ in range(NUM_STREAMS)]
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        streams = [asyncio.ensure_future(ask(client, ENDLESS, answer)) for answer in answers]
        await until(lambda: all(answer.num_tokens for answer in answers))
        workers = server.worker_pids()

        server.process.send_signal(signal.SIGKILL)
        endings = await asyncio.gather(*streams, return_exceptions=True)

    assert len(workers) == 1
    assert all(isinstance(ending, httpx.TransportError) for ending in endings)
    await until(lambda: not any(is_alive(pid) for pid in workers))
    assert server.process.wait() == -signal.SIGKILL

    again = serving.start(
        echo_home,
        tmp_path / "again.log",
        {"CANTEEN_MODEL": "echo"},
        arguments=("--port", str(server.port)),
    )
    try:
        async with httpx.AsyncClient(base_url=again.url, timeout=60) as client:
            answer = await ask(client, Chat(num_tokens=2))
    finally:
        serving.end(again)
    assert again.port == server.port
    assert (answer.status, answer.is_whole, answer.num_tokens) == (200, True, 2)
    assert Catalog(echo_home).list() == store


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        # It may end between the opening and the reading.
        return False
