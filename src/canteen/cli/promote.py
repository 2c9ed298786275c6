"""`canteen promote`: a name moves to another model if a gate holds."""

import asyncio
import sys
from typing import TYPE_CHECKING

import click

from canteen.cli import store
from canteen.core.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from canteen.core.model import Progress
    from canteen.lifecycle.promote.gate import Figure, Verdict
    from canteen.lifecycle.promote.promotion import Wish
    from canteen.lifecycle.promote.records import Promotion

_SHORT = len("sha256:") + 12


@click.command
@click.argument("candidate", required=False)
@click.option("--to", "name", metavar="NAME:TAG", help="The name that is to hold the model.")
@click.option("--gate", help='As "accuracy>=0.85 on sentiment; perplexity<=1.02x".')
@click.option(
    "--sure", is_flag=True, help="The whole 95 % interval must hold, not the value alone."
)
@click.option("--limit", type=click.IntRange(1), help="A sample of so many examples of each set.")
@click.option("--option", "pairs", multiple=True, metavar="KEY=VALUE", help="An option of a task.")
@click.option("--dry-run", is_flag=True, help="Measure and judge, and move nothing.")
@click.option("--list", "is_list", is_flag=True, help="What was promoted and rolled back.")
@store.as_json
def command(
    candidate: str | None,
    name: str | None,
    gate: str | None,
    is_list: bool,
    is_json: bool,
    **asked: "bool | int | tuple[str, ...] | None",
) -> None:
    """Let NAME:TAG be CANDIDATE from now on, if all conditions of the gate hold: figures of
    evaluations on data sets, or of the record of the preparation; with x, in times of what the name
    holds now. What it held is kept for `canteen rollback`. Exit status 1 if a condition fails.
    """
    from canteen.cli import promoting
    from canteen.lifecycle.promote.promotion import Wish

    if is_list:
        _tell_list(is_json=is_json)
        return
    candidate, name, gate = _told(candidate, name, gate)
    wish = Wish(
        candidate,
        name,
        gate,
        promoting.who(),
        is_sure=bool(asked["sure"]),
        is_trial=bool(asked["dry_run"]),
    )
    done = asyncio.run(_promoted(wish, asked["pairs"], asked["limit"]))  # type: ignore[arg-type]
    _tell(done, is_json=is_json)
    if not all(one.holds for one in done.verdicts):
        click.get_current_context().exit(1)


def _told(candidate: str | None, name: str | None, gate: str | None) -> tuple[str, str, str]:
    """What a promotion needs; raises InvalidRequest that names what is missing."""
    if candidate and name and gate and gate.strip():
        return candidate, name, gate
    missing = {
        "the candidate": candidate,
        "the name it is to get with --to": name,
        "what must hold with --gate": (gate or "").strip(),
    }
    said = [what for what, value in missing.items() if not value]
    raise InvalidRequest(
        f"say {', and '.join(said)}; canteen promote --help has an example of a gate"
    )


async def _promoted(wish: "Wish", pairs: "Sequence[str]", limit: int | None) -> "Promotion":
    from canteen.cli import promoting

    services = store.services()
    with click.progressbar(
        length=1, file=sys.stderr, show_pos=True, hidden=not sys.stderr.isatty()
    ) as bar:

        def tell(step: "Progress") -> None:
            bar.label, bar.length = step.status, step.total or 1
            bar.update(step.completed - bar.pos)

        rooms = promoting.Rooms(services, tell, pairs, limit)
        return await promoting.promote(services, wish, rooms, tell)


def _tell(done: "Promotion", *, is_json: bool) -> None:
    if is_json:
        store.echo_json(_plain(done))
        return
    from canteen.lifecycle.perplexity import MOST_TOKENS
    from canteen.lifecycle.promote.gate import parse

    rows = [_row(one) for one in done.verdicts]
    store.echo_table(("CONDITION", "CANDIDATE", f"{done.name} NOW", "HOLDS"), rows)
    click.echo()
    if any(one.is_perplexity_of_text for one in parse(done.gate)):
        click.echo(f"a text's perplexity is of its first {MOST_TOKENS:,} tokens at most")
    for run in done.runs:
        click.echo(f"evaluated: canteen evaluate {run}")
    if done.state == "promoted":
        which = f"{done.digest[:_SHORT]}, {done.quantization}"
        click.echo(f"{done.name} is {done.candidate} now, {which}")
        if done.kept_as:
            click.echo(f"before: {done.kept_as}; canteen rollback {done.name} goes back")
    elif done.state == "refused":
        click.echo(f"the gate does not hold, and {done.name} is what it was")
    else:
        holds = all(one.holds for one in done.verdicts)
        click.echo(f"the gate {'holds' if holds else 'does not hold'}; nothing was moved")


def _row(one: "Verdict") -> "Sequence[str]":
    holds = "yes" if one.holds else f"no: {one.bound:.4g} is asked for"
    if one.num_failed:
        holds += f"; {one.num_failed} of {one.num_items} items got no answer"
    return (one.condition, _shown(one.candidate), _shown(one.current), holds)


def _shown(one: "Figure | None") -> str:
    if one is None:
        return ""
    value = f"{one.value:,.0f}" if one.value >= 1e5 else f"{one.value:.4g}"
    return value if one.low == one.high else f"{value} [{one.low:.4g}, {one.high:.4g}]"


def _tell_list(*, is_json: bool) -> None:
    from canteen.lifecycle.promote import records

    found = records.load(store.settings().home)
    if is_json:
        store.echo_json([_plain(one) for one in found])
        return
    rows = [
        (
            *(one.created_at, one.name, one.state, one.candidate, one.digest[:_SHORT]),
            *(one.quantization, one.by, one.gate),
        )
        for one in reversed(found)
    ]
    store.echo_table(("WHEN", "NAME", "STATE", "MODEL", "DIGEST", "WEIGHTS", "BY", "GATE"), rows)


def _plain(done: "Promotion") -> dict[str, object]:
    import msgspec

    told: dict[str, object] = msgspec.to_builtins(done)
    return told
