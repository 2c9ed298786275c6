"""`canteen keys`: who may call a service, and how much each may have."""

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from canteen.cli import store
from canteen.core.access import SCOPES

if TYPE_CHECKING:
    from canteen.metering.keys.book import KeyBook
    from canteen.metering.keys.key import Key

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_ASKED = "Running services ask every caller for a key within 5 seconds"
_OFF = "CANTEEN_KEYS=off and a new start turn that off"
_ONCE = "This is the only time it is shown; what is kept of it is a hash."


class Duration(click.ParamType[Any]):
    """A time such as 90d, 12h, 30m or 10s, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Seconds; a number stays what it is."""
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d{1,9})([smhd])", str(value))
        if not found:
            self.fail(f"'{value}' is no time such as 90d, 12h, 30m or 10s", param, ctx)
        return float(int(found[1]) * _UNITS_S[found[2]])


class LimitOption(click.ParamType[Any]):
    """A limit such as tokens_per_day=100000."""

    name = "limit"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, float]:
        """The name and the number."""
        if isinstance(value, tuple):
            return value
        name, _, number = str(value).partition("=")
        try:
            return name, float(number)
        except ValueError:
            self.fail(f"'{value}' is no limit such as tokens_per_day=100000", param, ctx)


@click.group
def command() -> None:
    """API keys: who may call, which models, and how much of what.

    From the first key on, `canteen serve` asks every caller for one, also when no key is good any
    more; CANTEEN_KEYS=off turns that off. Each command has --json.
    """


@command.command
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=SCOPES[:3],
    show_default=True,
    help="What it is for; more than once for several.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="A model it may ask, or a pattern such as smollm2:*; all by default.",
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    type=LimitOption(),
    metavar="LIMIT=MOST",
    help="concurrency, or requests, tokens, usd, wh or ml, with _per_minute, _per_day or "
    "_per_month: tokens_per_day=100000.",
)
@click.option("--expires", type=Duration(), help="How long it is good for: 90d, 12h.")
@store.as_json
def create(
    limits: tuple[tuple[str, float], ...], expires: float | None, is_json: bool, **told: Any
) -> None:
    """Make a key, and show its secret this once."""
    from canteen.metering.keys.key import Wanted

    expires_s = None if expires is None else time.time() + expires
    wanted = Wanted(**told, limits=dict(limits), expires_s=expires_s)
    key, secret = _book().create(wanted)
    _tell(key, secret, is_json=is_json)
    if not is_json:
        click.echo(f"{_ASKED}, also when no key is good any more; {_OFF}.", err=True)


@command.command("list")
@store.as_json
def list_(is_json: bool) -> None:
    """Every key there was, the newest first."""
    found = _book().list()
    if is_json:
        store.echo_json([key.told() for key in found])
        return
    now_s = time.time()
    rows = [
        (
            key.id,
            key.name,
            " ".join(key.scopes),
            _when(key.created_s),
            _when(key.expires_s),
            key.trouble(now_s),
        )
        for key in found
    ]
    store.echo_table(("ID", "NAME", "SCOPES", "CREATED", "EXPIRES", ""), rows)


@command.command
@click.argument("key_id", metavar="ID")
@store.as_json
def show(key_id: str, is_json: bool) -> None:
    """A key, and what it has had of its limits."""
    book = _book()
    key = book.get(key_id)
    spent = book.spent(key)
    if is_json:
        store.echo_json(key.told() | {"spent": spent})
        return
    click.echo(f"{key.id}  {key.name}  {' '.join(key.scopes)}  {key.trouble(time.time())}")
    click.echo(f"models: {', '.join(key.models) or 'all'}")
    rows = [
        (name, f"{one['most']:g}", f"{one['used']:g}", f"{one['held']:g}")
        for name, one in spent.items()
    ]
    store.echo_table(("LIMIT", "MOST", "USED", "HELD"), rows)


@command.command
@click.argument("key_id", metavar="ID")
@store.as_json
def revoke(key_id: str, is_json: bool) -> None:
    """Let a key be good for nothing any more; running services know within 5 seconds."""
    book = _book()
    key = book.revoke(key_id)
    if is_json:
        store.echo_json(key.told())
    else:
        click.echo(f"revoked {key.id}")
    if all(one.trouble(time.time()) for one in book.list()) and store.settings().keys != "off":
        said = "no good key is left, and services still ask for one: canteen keys create makes one"
        click.echo(f"{said}; {_OFF}", err=True)


@command.command
@click.argument("key_id", metavar="ID")
@click.option(
    "--overlap",
    type=Duration(),
    default="24h",
    show_default=True,
    help="How long the old secret is good beside the new one.",
)
@store.as_json
def rotate(key_id: str, overlap: float, is_json: bool) -> None:
    """Give a key another secret, and show it this once."""
    key, secret = _book().rotate(key_id, overlap)
    _tell(key, secret, is_json=is_json)


def _book() -> "KeyBook":
    services = store.services()
    # A key may be the first thing that is made on a machine.
    services.settings.home.mkdir(parents=True, exist_ok=True)
    return services.keys.book


def _tell(key: "Key", secret: str, *, is_json: bool) -> None:
    if is_json:
        store.echo_json(key.told() | {"key": secret})
        return
    click.echo(secret)
    click.echo(f"{key.id} ({key.name}). {_ONCE}", err=True)


def _when(moment_s: float | None) -> str:
    if moment_s is None:
        return "-"
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="seconds")
