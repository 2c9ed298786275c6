"""`canteen classify`: which of your labels a text bears, out of the box or fitted to examples."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from canteen.cli import store
from canteen.cli.task import json_lines, task_command
from canteen.core.classifier import Classifier
from canteen.core.errors import InvalidRequest

_classify = task_command("classify")
_examples = click.File("rb")


def _run(
    calibrate: Any, train: Any, save: str, *, is_json: bool, model: str | None, **given: Any
) -> None:
    if calibrate and train:
        raise InvalidRequest("give --calibrate or --train, not both")
    if not (calibrate or train):
        assert _classify.callback is not None
        _classify.callback(is_json=is_json, model=model, **given)
        return
    from canteen.cli.function import LLM

    method = "score" if calibrate else "head"
    examples = list(_read(calibrate or train, "calibrate" if calibrate else "train"))
    with LLM(model) as llm:
        made = llm.fit(
            save,
            examples,
            method=method,
            labels=given["labels"],
            descriptions=given["descriptions"],
        )
    _say(made, is_json=is_json)


def _read(file: Any, param: str) -> Iterator[dict[str, str]]:
    for number, value in json_lines(file, param):
        told = value if isinstance(value, Mapping) else {}
        text, label = told.get("text"), told.get("label")
        if not (isinstance(text, str) and isinstance(label, str)):
            raise InvalidRequest(
                f'line {number} is no object with the strings "text" and "label"', param=param
            )
        yield {"text": text, "label": label}


def _say(made: Classifier, *, is_json: bool) -> None:
    if is_json:
        store.echo_json({"name": made.name, "labels": made.labels, "report": dict(made.report)})
        return
    click.echo(f"classifier '{made.name}': {made.report['num_examples']} examples, {made.method}")
    for name, figure in made.report.items():
        if isinstance(figure, dict):
            bounds = f"[{figure['low']:.3f}, {figure['high']:.3f}]"
            click.echo(f"{name.replace('_', ' ')}: {figure['central']:.3f} {bounds}")


command = click.Command(
    "classify",
    params=[
        *_classify.params,
        click.Option(
            ["--calibrate"],
            type=_examples,
            help='Fit probabilities to lines of JSON with "text" and "label".',
        ),
        click.Option(
            ["--train"], type=_examples, help="Fit a linear head on embeddings to such lines."
        ),
        click.Option(
            ["--save"], default="default", show_default=True, help="The fitted classifier's name."
        ),
    ],
    callback=_run,
    help=_classify.help,
)
