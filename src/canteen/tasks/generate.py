"""Generation: text as it comes; JSON that validates and tool calls that parse, or an error."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from canteen.core.engine import Engine
from canteen.core.errors import InvalidOutput, InvalidRequest
from canteen.core.generation import Chunk, GenerationRequest, Usage
from canteen.tasks import tools
from canteen.tasks.schema import NOT_JSON, Schema

MOST_REPAIRS = 1


async def generate(engine: Engine, request: GenerationRequest) -> AsyncGenerator[Chunk]:
    """Yield the chunks of a request.

    Structured output fails closed: a schema the grammar cannot enforce is an InvalidRequest, and
    a finished text that does not validate an InvalidOutput, after one more try where the caller
    has seen nothing yet.
    """
    param = "tools" if tools.is_forced(request) else "response_format"
    is_told_calls = engine.capabilities.native_tools and tools.may_call(request)
    if not is_told_calls:
        request = tools.prepared(request, engine.capabilities)
    if request.counts_only:
        chunks = engine.generate(request)
    elif is_told_calls:
        chunks = _called(engine, request)
    elif request.grammar is None:
        chunks = _free(engine, request) if request.tools else engine.generate(request)
    else:
        chunks = _structured(engine, request, _checked(engine, request, param))
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


def _checked(engine: Engine, request: GenerationRequest, param: str) -> Schema | None:
    """The schema the answer must satisfy; None where the grammar is a regular expression."""
    grammar = request.grammar
    if not engine.capabilities.grammar:
        raise InvalidRequest(f"engine '{engine.name}' cannot constrain its output", param=param)
    if grammar is None or grammar.kind == "regex":
        return None
    is_any = grammar.kind == "json_object"
    return Schema('{"type": "object"}' if is_any else grammar.value, param=param)


async def _called(engine: Engine, request: GenerationRequest) -> AsyncGenerator[Chunk]:
    """The chunks of an engine that tells calls by itself; those that end a choice only when its
    calls are of the tools given, and its text, where it calls nothing, is as asked."""
    schema = _checked(engine, request, "response_format") if request.grammar else None
    texts = [""] * request.n
    async with aclosing(engine.generate(request)) as chunks:
        async for chunk in chunks:
            texts[chunk.index] += chunk.text
            if chunk.finish_reason is not None:
                tools.check_calls(chunk.tool_calls, request)
                if not chunk.tool_calls:
                    _check(texts[chunk.index], chunk, schema, request.sampling.stop)
            yield chunk


async def _free(engine: Engine, request: GenerationRequest) -> AsyncGenerator[Chunk]:
    """Text in which the model may call a tool."""
    finders = [tools.CallFinder(request, index) for index in range(request.n)]
    async with aclosing(engine.generate(request)) as chunks:
        async for chunk in chunks:
            finder = finders[chunk.index]
            text = finder.feed(chunk.text)
            if chunk.finish_reason is None:
                if text:
                    yield replace(chunk, text=text)
                continue
            text += finder.finish()
            reason = "tool_calls" if finder.calls else chunk.finish_reason
            yield replace(chunk, text=text, tool_calls=tuple(finder.calls), finish_reason=reason)


async def _structured(
    engine: Engine, request: GenerationRequest, schema: Schema | None
) -> AsyncGenerator[Chunk]:
    if request.is_streamed and not tools.is_forced(request):
        async with aclosing(_validated(engine, request, schema)) as chunks:
            async for chunk in chunks:
                yield chunk
        return
    for chunk in await _repaired(engine, request, schema):
        yield chunk


async def _repaired(
    engine: Engine, request: GenerationRequest, schema: Schema | None
) -> list[Chunk]:
    """The whole answer, made again with another seed where it is not valid."""
    for repairs in range(MOST_REPAIRS + 1):
        try:
            return [chunk async for chunk in _validated(engine, request, schema)]
        except InvalidOutput:
            if repairs == MOST_REPAIRS:
                raise
            seed = (request.sampling.seed or 0) + 1
            sampling = replace(request.sampling, seed=seed, temperature=1.0)
            request = replace(request, id=f"{request.id}-again", sampling=sampling)
    raise AssertionError("the loop returns or raises")


async def _validated(
    engine: Engine, request: GenerationRequest, schema: Schema | None
) -> AsyncGenerator[Chunk]:
    """The chunks; the one that ends a choice comes only when the whole text is valid."""
    texts = [""] * request.n
    is_call = tools.is_forced(request)
    async with aclosing(engine.generate(request)) as chunks:
        async for chunk in chunks:
            texts[chunk.index] += chunk.text
            if chunk.finish_reason is not None:
                _check(texts[chunk.index], chunk, schema, request.sampling.stop)
            if not is_call:
                yield chunk
            elif chunk.finish_reason is not None:
                yield _as_call(texts[chunk.index], chunk, request)


def _check(text: str, chunk: Chunk, schema: Schema | None, stop: tuple[str, ...]) -> None:
    problem = schema.problem(text) if schema is not None else None
    if problem is None:
        return
    if chunk.finish_reason == "length":
        raise InvalidRequest(
            f"the answer was cut after {_tokens(chunk.usage)} before it was complete JSON; "
            "raise max_tokens (or num_predict) or ask for less",
            param="max_tokens",
            code="max_tokens_too_small",
        )
    if stop and problem == NOT_JSON:
        raise InvalidRequest(
            "the answer was cut by a stop sequence before it was complete JSON; leave stop out",
            param="stop",
        )
    raise InvalidOutput(
        f"the model's answer does not satisfy the schema ({problem}); "
        "try again, simplify the schema, or use a larger model"
    )


def _tokens(usage: Usage | None) -> str:
    return f"{usage.completion_tokens} tokens" if usage else "max_tokens"


def _as_call(text: str, chunk: Chunk, request: GenerationRequest) -> Chunk:
    call = tools.parsed(text, request.tools, f"call_{request.id}_{chunk.index}")
    if call is None:
        raise InvalidOutput("the model's answer is no call of the tools given; try again")
    # Compact arguments, as the hosted services send them.
    call = replace(call, arguments=json.dumps(json.loads(call.arguments), separators=(",", ":")))
    return replace(chunk, text="", logprobs=(), tool_calls=(call,), finish_reason="tool_calls")
