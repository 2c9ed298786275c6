"""Several prompts, one stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from canteen.api.openai.fan_out import fan_out
from canteen.core.engine import fold
from canteen.core.errors import WorkerDied
from canteen.core.generation import Chunk, GenerationRequest, Usage


async def say_prompt(request: GenerationRequest) -> AsyncGenerator[Chunk]:
    for index in range(request.n):
        await asyncio.sleep(0)
        last = Usage(prompt_tokens=2, completion_tokens=1) if index == request.n - 1 else None
        yield Chunk(f"{request.prompt}{index}", index, finish_reason="stop", usage=last)


def requests(*prompts: str) -> list[GenerationRequest]:
    return [GenerationRequest(f"id-{prompt}", "m", prompt=prompt, n=2) for prompt in prompts]


async def test_choices_are_numbered_over_all_prompts() -> None:
    completion = await fold(fan_out(say_prompt, requests("a", "b", "c")), 6)

    texts = [choice.text for choice in completion.choices]
    assert texts == ["a0", "a1", "b0", "b1", "c0", "c1"]


async def test_only_the_last_chunk_has_the_usage_of_all() -> None:
    chunks = [chunk async for chunk in fan_out(say_prompt, requests("a", "b"))]

    assert [chunk.usage for chunk in chunks[:-1]] == [None] * 3
    assert chunks[-1].usage == Usage(prompt_tokens=4, completion_tokens=2)


async def test_the_first_error_ends_all() -> None:
    ended = asyncio.Event()

    async def fail_on_b(request: GenerationRequest) -> AsyncGenerator[Chunk]:
        if request.prompt == "b":
            raise WorkerDied("gone")
        try:
            yield Chunk("a")
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(WorkerDied):
        await fold(fan_out(fail_on_b, requests("a", "b")), 4)

    assert ended.is_set()


async def test_a_reader_who_leaves_ends_all() -> None:
    num_ended = 0

    async def forever(request: GenerationRequest) -> AsyncGenerator[Chunk]:
        nonlocal num_ended
        try:
            while True:
                yield Chunk("again")
                await asyncio.sleep(0)
        finally:
            num_ended += 1

    async with aclosing(fan_out(forever, requests("a", "b"))) as chunks:
        await anext(chunks)
        await anext(chunks)

    assert num_ended == 2
