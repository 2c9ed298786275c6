"""`canteen doctor`: what this machine has, what is wrong with it, and what to do."""

from collections.abc import Iterator

import click

from canteen.cli import examining, store
from canteen.cli.examining import Finding
from canteen.core.units import exact
from canteen.metering.probes.auto import ACCELERATOR, PROCESSOR, examine


@click.command
@store.as_json
def command(is_json: bool) -> None:
    """Look at this machine: what is wrong, and what to do; exit status 1 if anything is."""
    settings = store.settings()
    findings = [
        *examining.machine(settings),
        examining.gpu(),
        *examining.service(settings),
        *_energy(),
    ]
    if is_json:
        rows = [{"ok": one.is_ok, "finding": one.said, "do": one.advice} for one in findings]
        store.echo_json(rows)
    else:
        for one in findings:
            _tell(one)
    if not all(one.is_ok for one in findings):
        raise SystemExit(1)


def _tell(one: Finding) -> None:
    mark = "no" if not one.is_ok else "hm" if one.advice else "ok"
    click.echo(f"{mark:4}{one.said}")
    if one.advice:
        click.echo(f"      {one.advice}")


def _energy() -> Iterator[Finding]:
    """Nothing here is missing: what no counter tells is modelled."""
    examined = examine({**PROCESSOR, **ACCELERATOR}, exact(1, "J"))
    for one in examined:
        yield Finding(f"energy by {one.name}: {one.state}; {one.detail}")
    is_counted = any(one.name in PROCESSOR and one.counter for one in examined)
    yield Finding(f"energy is {'counted' if is_counted else 'modelled from processor time'}")
