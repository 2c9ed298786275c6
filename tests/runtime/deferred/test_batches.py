"""A batch ends with the last of its requests, however they end; on both databases."""

import json
import threading
from typing import Any

import pytest

from canteen.core.database import Tables
from canteen.core.errors import CanteenError
from canteen.runtime.deferred.batches import Batch, Batches, line_ended, new_batch_id
from canteen.runtime.deferred.book import LINES_TURN, DeferredBook, Ended
from canteen.runtime.deferred.files import Files
from canteen.runtime.deferred.request import Deferred, new_id
from tests.runtime.deferred.clock import Clock

WEEK_S = 7 * 24 * 3600.0


class Rooms:
    """What a gateway has of batches."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self.clock = clock
        self.book = DeferredBook(tables, [line_ended], clock)
        self.batches = Batches(tables, self.book)
        self.files = Files(tables, clock)

    def begun(self, num: int, window_s: float = 3600.0) -> Batch:
        now_s = self.clock.now_s
        path = "/v1/chat/completions"
        batch = Batch(
            new_batch_id(),
            "me",
            path,
            "file-1",
            "24h",
            now_s,
            now_s + window_s,
            num_lines=num,
            num_left=num,
        )
        self.batches.add(batch, (self._line(batch, number) for number in range(1, num + 1)))
        return batch

    def _line(self, batch: Batch, number: int) -> Deferred:
        more: dict[str, Any] = {"batch_id": batch.id, "custom_id": f"c-{number}"}
        more |= {"number": number, "turn": LINES_TURN + number}
        return Deferred(new_id(), batch.endpoint, "{}", batch.created_s, batch.expires_s, **more)

    def answer(self, num: int) -> None:
        for one in self.book.claim(num):
            assert self.book.finish(one, Ended("done", 200, body='{"said": "grüße"}'))

    def tidy(self) -> None:
        self.batches.tidy()
        self.book.tidy()

    def found(self, batch: Batch) -> Batch:
        found = self.batches.get(batch.id)
        assert found is not None
        return found

    def lines(self, file_id: str) -> list[Any]:
        return [json.loads(line) for line in self.files.content(file_id).splitlines()]


@pytest.fixture
def rooms(tables: Tables, clock: Clock) -> Rooms:
    return Rooms(tables, clock)


def test_its_file_has_the_answers_in_order_once_all_are_there(rooms: Rooms) -> None:
    batch = rooms.begun(3)
    rooms.answer(2)
    assert rooms.found(batch).status == "in_progress"

    rooms.answer(2)

    ended = rooms.found(batch)
    assert (ended.status, ended.num_completed, ended.num_failed) == ("completed", 3, 0)
    assert [line["custom_id"] for line in rooms.lines(ended.output_file_id)] == [
        "c-1",
        "c-2",
        "c-3",
    ]
    assert rooms.lines(ended.output_file_id)[0]["response"]["body"] == {"said": "grüße"}
    assert ended.error_file_id == ""


@pytest.mark.parametrize("window_s", [3600.0, WEEK_S])
def test_what_was_answered_in_time_is_there_when_the_time_is_over(
    rooms: Rooms, clock: Clock, window_s: float
) -> None:
    batch = rooms.begun(3, window_s)
    rooms.answer(2)
    clock.now_s += window_s + 1

    rooms.tidy()

    ended = rooms.found(batch)
    assert (ended.status, ended.num_completed, ended.num_failed) == ("expired", 2, 1)
    assert len(rooms.lines(ended.output_file_id)) == 2
    (late,) = rooms.lines(ended.error_file_id)
    assert late["error"]["code"] == "batch_expired"


def test_one_that_is_cancelled_waits_for_what_runs(rooms: Rooms) -> None:
    batch = rooms.begun(3)
    (runs,) = rooms.book.claim(1)

    rooms.batches.cancel(batch.id)
    assert rooms.found(batch).status == "cancelling"
    assert rooms.book.beat() == {runs.id: "cancel"}
    rooms.book.finish(runs, Ended("cancelled", error="somebody cancelled it"))

    ended = rooms.found(batch)
    assert ended.status == "cancelled"
    assert {one["error"]["code"] for one in rooms.lines(ended.error_file_id)} == {"batch_cancelled"}


def test_cancelling_and_ending_at_once_do_not_stand_in_each_others_way(
    tables: Tables, clock: Clock
) -> None:
    rooms, other = Rooms(tables, clock), Rooms(tables, clock)
    batch = rooms.begun(200)
    claimed = rooms.book.claim(60)
    troubles: list[CanteenError] = []

    def end() -> None:
        try:
            for one in claimed:
                rooms.book.finish(one, Ended("done", 200, body="{}"))
        except CanteenError as error:
            troubles.append(error)

    ending = threading.Thread(target=end)
    ending.start()
    other.batches.cancel(batch.id)
    ending.join()

    assert troubles == []
    ended = rooms.found(batch)
    assert (ended.status, ended.num_completed, ended.num_left) == ("cancelled", 60, 0)
    assert len(rooms.lines(ended.output_file_id)) == 60


def test_what_is_too_old_is_forgotten(rooms: Rooms, clock: Clock) -> None:
    batch = rooms.begun(1)
    rooms.answer(1)
    output = rooms.found(batch).output_file_id
    clock.now_s += 31 * 24 * 3600

    rooms.tidy()
    rooms.files.tidy()

    assert rooms.batches.get(batch.id) is None
    assert rooms.files.get(output) is None
