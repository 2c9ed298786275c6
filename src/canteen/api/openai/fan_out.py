"""Several generation requests answered as one stream, for several prompts in one body."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from canteen.core.generation import Chunk, GenerationRequest, Usage

Generate = Callable[[GenerationRequest], AsyncGenerator[Chunk]]


async def fan_out(
    generate: Generate, requests: Sequence[GenerationRequest]
) -> AsyncGenerator[Chunk]:
    """Run requests side by side; choice k of request i becomes choice i * n + k.

    The first error ends all of them. The last chunk has the sum of their usages.
    """
    queue: asyncio.Queue[Chunk | Exception] = asyncio.Queue(maxsize=len(requests))
    tasks = [
        asyncio.create_task(_feed(generate, request, i * request.n, queue))
        for i, request in enumerate(requests)
    ]
    try:
        async for chunk in _merged(queue, len(requests)):
            yield chunk
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _merged(
    queue: "asyncio.Queue[Chunk | Exception]", num_running: int
) -> AsyncGenerator[Chunk]:
    usage = Usage()
    while num_running:
        item = await queue.get()
        if isinstance(item, Exception):
            raise item
        if item.usage is not None:
            num_running -= 1
            usage = usage + item.usage
            item = replace(item, usage=None if num_running else usage)
        yield item


async def _feed(
    generate: Generate,
    request: GenerationRequest,
    offset: int,
    queue: "asyncio.Queue[Chunk | Exception]",
) -> None:
    try:
        async with aclosing(generate(request)) as chunks:
            async for chunk in chunks:
                await queue.put(replace(chunk, index=chunk.index + offset))
    except Exception as exc:  # noqa: BLE001 - it is raised again by who reads the queue
        await queue.put(exc)
