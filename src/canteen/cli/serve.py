"""`canteen serve`: the models over HTTP."""

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.errors import CanteenError
from canteen.settings import strange

if TYPE_CHECKING:
    from canteen.bootstrap import Services

WELCOME = """\
listening on {url}

Three things to try, in another terminal:

  curl {url}/api/generate {key}-d '{{"model": "{model}", "prompt": "who is Oppenheimer"}}'

  curl {url}/v1/chat/completions -H 'content-type: application/json' \\
    {key}-d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'

  {program} run "who is Oppenheimer"

Or look at {url}/console in a browser. Ctrl-C stops.
"""


@click.command
@click.option("--host", help="The address to listen on; 127.0.0.1 by default.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@click.option("--model", help="The model that is loaded at the start.")
@click.option(
    "--allow-remote", is_flag=True, default=None, help="Let other machines call without keys."
)
@click.option(
    "--http-processes",
    type=click.IntRange(1, 64),
    help="Processes that speak HTTP; 2 or more translate beside one that answers.",
)
@click.option("--ray", help="The Ray cluster that runs the models: HOST:PORT, or local.")
@click.option("--no-pull", is_flag=True, help="Do not pull what is not there.")
@store.as_json
def command(no_pull: bool, is_json: bool, **overrides: Any) -> None:
    """Serve Ollama's API and OpenAI's API over HTTP until Ctrl-C or SIGTERM."""
    from canteen.api import server
    from canteen.api.app import to_stdout
    from canteen.api.auditing import beginning
    from canteen.api.changes import Changes
    from canteen.api.exceptions import Exceptions
    from canteen.bootstrap import build

    overrides["default_model"] = overrides.pop("model")
    settings = store.settings(**overrides)
    services = build(settings)
    services.keys.open()
    server.check_is_allowed(settings, asks_for_keys=services.keys.is_asked)
    # The port first: it would be a pity to learn after the download that it is taken.
    listener = server.bind(settings.host, settings.port)
    logging.basicConfig(level=settings.log_level, stream=sys.stderr)
    for name in strange():
        logging.getLogger(__name__).warning("%s is no setting; see canteen settings", name)
    for handler in (Exceptions, Changes):
        logging.getLogger().addHandler(handler(to_stdout))
    if services.cluster is not None:
        services.cluster.connect()
    if not no_pull:
        asyncio.run(store.ensure(services, settings.default_model))
        _ensure_embedder(services)

    def welcome(url: str) -> None:
        line = {"url": url, "model": settings.default_model}
        if is_json:
            click.echo(store.compact_json({"event": "listening", **line}))
        else:
            key = "-H 'authorization: Bearer KEY' " if services.keys.is_asked else ""
            # Standard output is for the log.
            click.echo(WELCOME.format(**line, key=key, program=_program()), err=True)
        click.echo(store.compact_json(beginning(services)))
        sys.stdout.flush()

    server.serve(services, listener, welcome)


def _ensure_embedder(services: "Services") -> None:
    """Without it much can be done, so that it cannot be had is told and no more."""
    try:
        asyncio.run(store.ensure(services, services.settings.default_embedder))
    except CanteenError as error:
        said = "what needs an embedding model will be refused until it is pulled"
        click.echo(f"canteen: {error.message}; {said}", err=True)


def _program() -> str:
    """The way this program was called, as far as it can be typed again."""
    name = sys.argv[0]
    return "python -m canteen" if name.endswith("__main__.py") else name
