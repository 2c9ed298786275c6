"""The ledger: receipts and accounts, written to a database in batches by a thread of its own."""

import hashlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from canteen.core.database import Connection, Row, Tables, insert
from canteen.core.footprint import Counted, Receipt, TokenRates
from canteen.core.processes import lives
from canteen.metering import lookup, sums, told
from canteen.metering.node import ACCOUNTS, Accounts
from canteen.metering.store import AtOnce, Kept, NewerDatabase, Trouble, connect, upsert
from canteen.metering.terms import Terms

logger = logging.getLogger(__name__)

# A batch is written this often, so a killed process loses less than a second of receipts.
_EVERY_S = 0.5
# While all is idle, the idle account is written this often, to let a disk sleep.
_IDLE_EVERY_S = 30.0
# Another gateway's run that nobody has seen for so long is over.
_GONE_AFTER_S = 300.0
# So many receipts wait while the database cannot be written; what is over is not kept.
_MOST_PENDING = 20_000
_HOUR_S = 3600
# What an hour's row has: the accounts, and the meter that they add up to.
_BOOKED = (*ACCOUNTS, "meter")
# One that is there already counts once. To be told all of a row takes longer than to write it.
_ONCE = "ON CONFLICT (id) DO NOTHING RETURNING run_id, phase, prefill_uj, decode_uj"


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is to be written: receipts and their terms, the accounts as they stood with them, and
    the energy of the receipts that were not kept."""

    receipts: list[tuple[Receipt, Terms]]
    accounts: Accounts
    lost_uj: int


class Ledger:
    """Till's book, of a meter that counts `boundary`. `add` and `tick` cost microseconds; the
    writing is a thread's.

    Where the database is full, locked or read-only, the service goes on: receipts wait, and those
    beyond what can be kept are accounted as unattributed. `trouble` says what is wrong.
    """

    def __init__(
        self,
        url: str,
        boundary: Counted,
        accounts: Callable[[], Accounts],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.trouble = ""
        self._database = connect(url)
        # To open one for each second's receipts would take longer than to write them.
        self._kept = self._database.kept()
        self._boundary = boundary
        self._accounts = accounts
        self._clock = clock
        self._run_id = uuid.uuid4().hex
        self._started_s = clock()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._wake = threading.Event()
        self._is_closing = False
        self._is_begun = False
        self._pending: list[tuple[Receipt, Terms]] = []
        self._latest = accounts()
        # Energy of receipts that were not kept; what is booked in earlier hours and runs.
        self._lost_uj = 0
        self._hour = int(self._started_s // _HOUR_S)
        self._before: dict[str, int] = dict.fromkeys(_BOOKED, 0)
        self._runs_before: dict[str, int] = dict(self._before)
        self._written_s = 0.0
        self._written: dict[str, int] = dict(self._before)
        self._thread = threading.Thread(target=self._write_on, name="ledger", daemon=True)

    @property
    def tables(self) -> Tables:
        """The database, for what others keep in it."""
        return self._database

    def kept_tables(self) -> Kept:
        """The database, for one who writes often, and closes it."""
        return self._database.kept()

    def tables_at_once(self) -> AtOnce | None:
        """The database, for a thread that may not wait; None where that must."""
        return self._database.at_once()

    def start(self) -> None:
        """Open the database and begin; raises NewerDatabase. Any other trouble is told, and
        tried again."""
        self._try_to_write()
        self._thread.start()

    def add(self, receipt: Receipt, terms: Terms) -> None:
        """Keep a receipt."""
        with self._lock:
            self._pending.append((receipt, terms))
            self._latest = self._accounts()
            self._forget()

    def tick(self) -> None:
        """Note how the accounts stand; to be called each second."""
        with self._lock:
            self._latest = self._accounts()

    def flush(self) -> None:
        """Write what is there, so that a reader sees it. Blocks; not for an event loop."""
        self._written_s = 0.0
        self._try_to_write()

    def receipt(self, receipt_id: str) -> Receipt | None:
        """The receipt of an id, None where there is none. Blocks."""
        self.flush()
        return lookup.receipt(self._database, receipt_id)

    def receipts(self, page: lookup.Page) -> list[Receipt]:
        """A page of them, the newest first; raises InvalidRequest. Blocks."""
        self.flush()
        return lookup.receipts(self._database, page)

    def sums(self, by: str, span: sums.Span) -> dict[str, Any]:
        """Sums up to now; raises InvalidRequest for an unknown `by`. Blocks."""
        self.flush()
        return sums.sums(self._database, by, span)

    def close(self) -> None:
        """Write all there is, and end the run: what has no receipt now is unattributed."""
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        self.tick()
        self.flush()
        try:
            with self._kept.begin() as connection:
                _end_run(connection, self._run_id)
        except Trouble as error:
            self._say(error)
        self._kept.close()

    def _write_on(self) -> None:
        while not self._is_closing:
            self._wake.wait(_EVERY_S)
            self._try_to_write()

    def _try_to_write(self) -> None:
        with self._writing:
            batch = self._take()
            if batch is None:
                return
            try:
                self._write(batch)
                self.trouble = ""
            except NewerDatabase:
                raise
            except Exception as error:  # noqa: BLE001 - it is told, and the thread goes on
                self._say(error)
                with self._lock:
                    self._pending[:0] = batch.receipts
                    self._forget()

    def _forget(self) -> None:
        """The oldest, of more receipts than can be kept."""
        over = max(0, len(self._pending) - _MOST_PENDING)
        forgotten = [receipt.charge for receipt, _ in self._pending[:over]]
        self._lost_uj += sum(charge.energy_uj for charge in forgotten if not charge.node)
        del self._pending[:over]

    def _take(self) -> _Batch | None:
        """The next batch, None where there is nothing to tell yet."""
        with self._lock:
            latest, receipts = self._latest, self._pending
            busy = {name: uj for name, uj in latest.energy_uj.items() if name != "idle"}
            is_news = any(uj != self._written[name] for name, uj in busy.items())
            if not (receipts or is_news or self._clock() - self._written_s >= _IDLE_EVERY_S):
                return None
            self._pending = []
            return _Batch(receipts, latest, self._lost_uj)

    def _write(self, batch: _Batch) -> None:
        now_s = self._clock()
        energy_uj: dict[str, int] = {name: batch.accounts.energy_uj[name] for name in ACCOUNTS}
        energy_uj["meter"] = batch.accounts.meter_uj
        energy_uj["requests"] -= batch.lost_uj
        energy_uj["unattributed"] += batch.lost_uj
        self._begin()
        with self._kept.begin() as connection:
            run = self._run(connection, now_s)
            before, hour = self._before, int(now_s // _HOUR_S)
            if hour != self._hour:
                before = self._written
            booked = {name: energy_uj[name] - before[name] for name in _BOOKED}
            row = {"run_id": self._run_id, "hour": hour, **booked}
            upsert(connection, "accounts", ("run_id", "hour"), [row], _BOOKED)
            rates = {terms: _rates_row(terms) for _, terms in batch.receipts}
            upsert(connection, "rates", ("id",), list(rates.values()))
            rows = [
                _row(one, rates[terms]["id"], self._run_of(one)) for one, terms in batch.receipts
            ]
            new = [one for row in rows for one in insert(connection, "receipts", row, _ONCE)]
            _keep_elsewhere(connection, [receipt for receipt, _ in batch.receipts])
            parts = [part for receipt, _ in batch.receipts for part in told.rows(receipt)]
            upsert(connection, "told", told.KEYS, parts)
            receipted_uj = run["receipted_uj"] + sum(
                one["prefill_uj"] + one["decode_uj"]
                for one in new
                if one["phase"] == "inference" and one["run_id"]
            )
            open_uj = energy_uj["requests"] - self._runs_before["requests"] - receipted_uj
            connection.execute(
                "UPDATE runs SET receipted_uj = :receipted, open_uj = :open WHERE id = :id",
                {"receipted": receipted_uj, "open": open_uj, "id": self._run_id},
            )
        self._before, self._hour = before, hour
        self._written, self._written_s = energy_uj, now_s

    def _run_of(self, receipt: Receipt) -> str:
        """This run; none for what a cluster did, which is in no account of this machine."""
        return "" if receipt.charge.node else self._run_id

    def _run(self, connection: Connection, now_s: float) -> Row:
        """This run's row, seen now. Where others held it for dead and ended it, another run goes
        on from what they left: they have moved the energy of open requests, which are not over."""
        run = self._seen(connection, now_s)
        if run["is_over"]:
            moved_uj = run["open_uj"]
            booked = dict(self._written)
            booked["requests"] -= moved_uj
            booked["unattributed"] += moved_uj
            self._before = self._written = self._runs_before = booked
            self._run_id = uuid.uuid4().hex
            run = self._seen(connection, now_s)
        return run

    def _seen(self, connection: Connection, now_s: float) -> Row:
        run = {
            "id": self._run_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started_s": self._started_s,
            "seen_s": now_s,
            "is_over": 0,
            "open_uj": 0,
            "receipted_uj": 0,
            "boundary": self._boundary,
        }
        return upsert(connection, "runs", ("id",), [run], ("seen_s",))[0]

    def _begin(self) -> None:
        """Once the database answers: bring it up to date, and end dead runs."""
        if self._is_begun:
            return
        self._database.migrate()
        with self._database.begin() as connection:
            for run_id in _dead_runs(connection, self._clock()):
                _end_run(connection, run_id)
        self._is_begun = True

    def _say(self, error: Exception) -> None:
        """Tell what is wrong, once."""
        reason = str(error) if isinstance(error, Trouble) else repr(error)
        if reason != self.trouble:
            logger.error("receipts cannot be written now: %s", reason)
        self.trouble = reason


@cache
def _rates_row(terms: Terms) -> dict[str, Any]:
    row = {
        "rates": msgspec.json.encode(terms.rates).decode(),
        "meter": terms.source,
        "boundary": terms.boundary,
        "grade": terms.grade,
    }
    return {"id": hashlib.sha256("\n".join(row.values()).encode()).hexdigest(), **row}


@cache
def _token_rates_row(rates: TokenRates) -> dict[str, Any]:
    text = msgspec.json.encode(rates).decode()
    return {"id": hashlib.sha256(text.encode()).hexdigest(), "rates": text}


def _keep_elsewhere(connection: Connection, receipts: list[Receipt]) -> None:
    parts = [(receipt.id, part) for receipt in receipts for part in receipt.elsewhere]
    if not parts:
        return
    rates = {part.rates: _token_rates_row(part.rates) for _, part in parts}
    upsert(connection, "token_rates", ("id",), list(rates.values()))
    rows = [
        {
            "receipt_id": receipt_id,
            "upstream": part.model,
            "token_rates_id": rates[part.rates]["id"],
            "read_tokens": part.prompt_tokens,
            "cached_read_tokens": part.cached_tokens,
            "written_tokens": part.completion_tokens,
        }
        for receipt_id, part in parts
    ]
    upsert(connection, "elsewhere", ("receipt_id", "upstream", "token_rates_id"), rows)


def _row(receipt: Receipt, rates_id: str, run_id: str) -> dict[str, Any]:
    usage, charge = receipt.usage, receipt.charge
    return {
        "id": receipt.id,
        "rates_id": rates_id,
        "run_id": run_id,
        "ended_s": receipt.ended_s,
        "hour": int(receipt.ended_s // _HOUR_S),
        "model": receipt.model,
        "digest": receipt.digest,
        "engine": receipt.engine,
        "caller_id": receipt.caller_id,
        "conversation_id": receipt.conversation_id,
        "operation": receipt.operation,
        "prompt_version": receipt.prompt_version,
        "asked": receipt.asked,
        "node": receipt.node,
        "phase": receipt.phase,
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "queue_s": usage.queue_s,
        "prefill_s": usage.prefill_s,
        "decode_s": usage.decode_s,
        "prefill_uj": charge.prefill_uj,
        "decode_uj": charge.decode_uj,
        "prefill_us": charge.prefill_us,
        "decode_us": charge.decode_us,
        "idle_share_uj": receipt.idle_share_uj,
    }


def _dead_runs(connection: Connection, now_s: float) -> list[str]:
    """Runs that ended without saying so: killed ones."""
    runs = connection.execute("SELECT id, host, pid, seen_s FROM runs WHERE is_over = 0")
    here = socket.gethostname()
    return [
        run["id"]
        for run in runs
        if run["seen_s"] < now_s - _GONE_AFTER_S
        or (run["host"] == here and not _is_another(run["pid"]))
    ]


def _is_another(pid: int) -> bool:
    """Whether another process than this has the id, which a container gives anew."""
    return pid != os.getpid() and lives(pid)


def _end_run(connection: Connection, run_id: str) -> None:
    """What was measured for requests without a receipt becomes unattributed, the latest first.
    Of several gateways that find the same dead run, one does it."""
    run = {"id": run_id}
    ended = connection.execute(
        "UPDATE runs SET is_over = 1 WHERE id = :id AND is_over = 0 RETURNING open_uj", run
    )
    open_uj = ended[0]["open_uj"] if ended else 0
    hours = connection.execute(
        "SELECT hour, requests FROM accounts WHERE run_id = :id ORDER BY hour DESC", run
    )
    for each in hours:
        moved_uj = min(open_uj, each["requests"])
        connection.execute(
            "UPDATE accounts SET requests = requests - :moved, "
            "unattributed = unattributed + :moved WHERE run_id = :id AND hour = :hour",
            {"moved": moved_uj, "hour": each["hour"], **run},
        )
        open_uj -= moved_uj
