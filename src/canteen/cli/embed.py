"""`canteen embed`: vectors of texts."""

import click

from canteen.cli import store


@click.command
@click.argument("texts", nargs=-1)
@click.option("--model", help="The embedding model; or the default one.")
@store.as_json
def command(texts: tuple[str, ...], model: str | None, is_json: bool) -> None:
    """Print a vector for each of TEXTS, or for each line of standard input."""
    from canteen.cli.function import LLM

    model = model or store.settings().default_embedder
    lines = texts or tuple(store.piped().splitlines())
    with LLM(model) as embedder:
        vectors = embedder.embed(lines)
    if is_json:
        store.echo_json({"model": model, "embeddings": vectors})
        return
    for vector in vectors:
        click.echo(" ".join(f"{value:.6f}" for value in vector))
