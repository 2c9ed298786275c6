"""`canteen search`: passages of an index that say most about a query, and an answer from them."""

from textwrap import shorten
from typing import Any

import click

from canteen.cli import store
from canteen.cli.index import embedder_of
from canteen.cli.options import options_of
from canteen.tasks.answering import Answer
from canteen.tasks.searching import Match, Searched, SearchRequest

# Of a quotation; --json has all of it.
MOST_SHOWN = 240


@click.command
@click.argument("name")
@click.argument("query")
@options_of(SearchRequest, leave_out="query")
@click.option("--model", help="The model that writes the answer; or the default one.")
@store.as_json
def command(name: str, query: str, model: str | None, is_json: bool, **options: Any) -> None:
    """Search the index NAME for QUERY."""
    from canteen.cli.function import LLM

    SearchRequest(query, **options)
    embedder = embedder_of(name)
    # Only an answer needs a model that writes.
    with LLM(model if options["answer"] else embedder) as llm:
        found = llm.search(name, query, **options)
    if is_json:
        import msgspec

        store.echo_json({"index": name, **msgspec.to_builtins(found)})
    else:
        click.echo(told(found))


def told(found: Searched) -> str:
    """The answer, and the passages."""
    parts = [] if found.answer is None else [_answer(found.answer)]
    parts += [_match(number, one) for number, one in enumerate(found.hits, 1)]
    return "\n\n".join(parts) or "nothing was found"


def _answer(answer: Answer) -> str:
    lines = [answer.text]
    lines += [
        f"  [{one.number}] {one.document} {one.start}-{one.end}: "
        + shorten(one.quote, MOST_SHOWN, placeholder=" …")
        for one in answer.citations
    ]
    return "\n".join(lines)


def _match(number: int, hit: Match) -> str:
    """Where it is, and what to show of it."""
    where = [hit.document, f"{hit.start}-{hit.end}"]
    where += [f"page {hit.page}"] if hit.page else []
    where += [" > ".join(hit.headings or (hit.title,))] if hit.headings or hit.title else []
    snippet = " ".join(hit.snippet.text.split())
    return f"{number}. {', '.join(where)} ({hit.score:.3f})\n   {snippet}"
