"""The program `canteen`: finds the verb, and turns an error into one plain line."""

import sys
from importlib import import_module
from typing import Any

import click

from canteen.core.errors import CanteenError, ModelNotFound, UpstreamFailed

VERBS = {
    "run": "Ask a model: one answer, or a chat",
    "serve": "Serve the models over HTTP",
    "pull": "Bring a model into the store",
    "prepare": "The same model with its weights in another format",
    "list": "The models in the store",
    "show": "What is known of a model",
    "rm": "Take models out of the store",
    "cp": "Give a model another name",
    "ps": "The models a running server has in memory",
    "stop": "Take a model out of a running server's memory",
    "embed": "Vectors of texts",
    "decide": "Questions about a state, answered with probabilities",
    "classify": "Which of your labels a text bears",
    "extract": "Entities and fields of a text, each with its place",
    "summarize": "What a text or document says, in few sentences",
    "rewrite": "The same in another tone, for other readers, correct, translated",
    "index": "Search indexes, and the documents in them",
    "search": "Passages that say most about a query, or an answer",
    "prompt": "Prompts of your own, as tasks",
    "plan": "What a model takes, before it is loaded, bought or trained",
    "quantize": "What each format of weights costs and gains, measured",
    "calibrate": "Measure this machine, so that plans guess less",
    "footprint": "What was eaten and drunk, by model, key or time",
    "finetune": "Teach a model, and serve what comes of it",
    "train": "A model from nothing but texts",
    "jobs": "Long work: how it stands, cancel it, go on with it",
    "evaluate": "How well a task is done, on labelled data",
    "promote": "Let a name be another model, if a gate holds",
    "rollback": "Let a name be what it was before",
    "engines": "What can run models here",
    "engine": "Set up what runs models",
    "keys": "Who may call, and how much each may have",
    "settings": "Every setting, its meaning and its value",
    "bench": "How fast a service answers, and under which load",
    "audit": "Whether the record of who asked for what is whole",
    "doctor": "What is wrong with this machine, and what to do",
}


class Verbs(click.Group):
    """A group whose commands are modules of this package, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in the order of their use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"canteen.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """A verb and its words; those that change something go on record first."""
        found = super().resolve_command(ctx, args)
        recording = import_module("canteen.cli.recording")
        if args[0] in recording.CHANGING:
            recording.note(args)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, which imports no verb."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error is a line on standard error and exit status 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read us has had enough. Nothing more can be said, at the exit neither.
            sys.stdout = None
            ctx.exit(1)
        except (CanteenError, OSError) as error:
            if ctx.params["debug"]:
                raise
            click.echo(f"canteen: {_plain(error)}", err=True)
            ctx.exit(1)


def _plain(error: CanteenError | OSError) -> str:
    """What a user is told of an error."""
    if isinstance(error, ModelNotFound):
        return f"{error.message}; canteen list shows what there is"
    if isinstance(error, UpstreamFailed) and error.base_url:
        return f"{error.message} ({error.base_url})"
    if isinstance(error, CanteenError):
        return error.message
    said = str(error.strerror or error)
    return f"{said}: {error.filename}" if error.filename else said


def _say_fault(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """What Python does with an error that nobody expected, in place of the traceback."""
    said = f"canteen: a fault of Canteen's own ({kind.__name__}); canteen --debug shows where"
    click.echo(said, err=True)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="canteen-llm", message="%(version)s")
def main(debug: bool) -> None:
    """An LLM service that says what it ate and drank."""
    if not debug:
        sys.excepthook = _say_fault
