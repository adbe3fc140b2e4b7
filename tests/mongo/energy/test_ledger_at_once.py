"""Several writers of the interval ledger at once: nothing is lost, and a newer result stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Barrier, Thread
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.energy import ledger
from greenpower.mongo.energy.ledger import close_days, write_slots
from greenpower.mongo.energy.ledger_part import QUARTER
from greenpower.mongo.energy.ledger_read import read_stretches
from greenpower.mongo.energy.ledger_write import MAX_REWRITE_ATTEMPTS, Rewriter
from greenpower.mongo.rollups.watermarks import take_as_of
from greenpower.mongo.schema.layout import WATERMARKS
from tests.mongo.energy.ledger_world import HOUR, energy, part, quarter
from tests.mongo.energy.plain_ledger import (
    DAY,
    NOW,
    TYPE,
    as_of,
    make_slot,
)

D0 = datetime(2027, 12, 30, tzinfo=UTC)
DEVICES = ("A", "B", "C")


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("number", [1, 3], ids=["as old", "newer"])
@pytest.mark.parametrize("change", ["more", "less", "all gone", "gone and back"])
@pytest.mark.parametrize("closed", [False, True], ids=["first", "again"])
def test_who_writes_while_a_day_is_being_closed_is_in_its_total(
    db: Database[Document], monkeypatch: pytest.MonkeyPatch, place: str, number: int, change: str, closed: bool
) -> None:
    """The closing has read the day already, and the totals are not written yet, or just written."""
    write_slots(db, TYPE, [quarter(D0, 5), quarter(D0 + 2 * HOUR, 1)], as_of(1), NOW)
    write_slots(db, TYPE, [quarter(D0, 7, device="B")], as_of(1), NOW)
    if closed:
        assert close_days(db, TYPE, D0, D0 + DAY, NOW) == set()
    put = ledger._put_totals

    def others() -> None:
        monkeypatch.setattr(ledger, "_put_totals", put)
        parts = {
            "more": [quarter(D0 + HOUR, 3)],
            "less": [part(D0, D0 + HOUR, [])],
            "all gone": [part(D0, D0 + DAY, [])],
            "gone and back": [part(D0, D0 + DAY, []), part(D0, D0 + HOUR, [make_slot(D0, 2)])],
        }
        for one in parts[change]:
            assert write_slots(db, TYPE, [one], as_of(number), NOW) == set()

    def meanwhile(*given: Any) -> Any:
        if place == "before":
            others()
        found = put(*given)
        if place == "after":
            others()
        return found

    monkeypatch.setattr(ledger, "_put_totals", meanwhile)
    assert close_days(db, TYPE, D0 - DAY, D0 + DAY, NOW) == set()
    assert energy(db, D0, D0 + DAY) == {"more": 9, "less": 1, "all gone": None, "gone and back": 2}[change]
    assert energy(db, D0, D0 + DAY, "B") == 7


def test_a_day_that_never_rests_is_named(db: Database[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    write_slots(db, TYPE, [quarter(D0, 5), quarter(D0, 5, device="B")], as_of(1), NOW)
    put, numbers = ledger._put_totals, iter(range(1, 90))

    def meanwhile(*given: Any) -> Any:
        found = put(*given)
        monkeypatch.setattr(ledger, "_put_totals", put)
        write_slots(db, TYPE, [quarter(D0, 5 + next(numbers))], as_of(2), NOW)
        monkeypatch.setattr(ledger, "_put_totals", meanwhile)
        return found

    monkeypatch.setattr(ledger, "_put_totals", meanwhile)
    assert close_days(db, TYPE, D0, D0 + DAY, NOW) == {("A", D0)}
    # Whoever changed it last has written its total.
    assert energy(db, D0, D0 + DAY) == 5 + MAX_REWRITE_ATTEMPTS


def test_writers_at_once_lose_nothing(db: Database[Document]) -> None:
    """Threads put one quarter-hour after the other into the same days, taking turns; what was refused they compute
    again, as a run does."""
    days = [D0 + number * DAY for number in range(3)]
    start = Barrier(3)
    refused: list[tuple[str, datetime]] = []

    def write(side: int) -> None:
        start.wait()
        for number in range(side, 96, 3):
            left = {(device, day) for device in DEVICES for day in days}
            while left:
                taken = take_as_of(db[WATERMARKS])
                parts = [quarter(day + number * QUARTER, number + 1, device=device) for device, day in left]
                left = write_slots(db, TYPE, parts, taken, NOW)
                refused.extend(left)

    close_days(db, TYPE, D0, D0 + 2 * DAY, NOW)
    threads = [Thread(target=write, args=(side,)) for side in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused  # they did meet
    for device in DEVICES:
        for day in days:
            found = read_stretches(db, TYPE, "import", [device], [day + n * QUARTER for n in range(97)])[device]
            assert [stretch.energy for stretch in found] == list(range(1, 97))
        assert energy(db, D0, D0 + 2 * DAY, device) == 2 * sum(range(1, 97))


@pytest.mark.parametrize("times", [MAX_REWRITE_ATTEMPTS - 1, MAX_REWRITE_ATTEMPTS])
def test_a_day_that_others_go_on_changing_is_named_in_the_end(
    db: Database[Document], monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    write_slots(db, TYPE, [quarter(D0, 5)], as_of(0), NOW)
    write, others = Rewriter._write, iter(range(1, times + 1))

    def meanwhile(self: Rewriter, operations: Sequence[object]) -> bool:
        if self.take_as_of() == as_of(99) and (number := next(others, None)) is not None:
            held = write_slots(db, TYPE, [quarter(D0 + number * QUARTER, number)], as_of(number), NOW)
            assert held == set()
        return write(self, operations)

    monkeypatch.setattr(Rewriter, "_write", meanwhile)
    given_up = times == MAX_REWRITE_ATTEMPTS
    parts = [quarter(D0 + 50 * QUARTER, 100), quarter(D0, 1, device="B")]
    assert (("A", D0) in write_slots(db, TYPE, parts, as_of(99), NOW)) is given_up
    assert given_up or energy(db, D0 + 50 * QUARTER, D0 + DAY) == 100
    assert energy(db, D0, D0 + times * QUARTER + QUARTER) == 5 + sum(range(1, times + 1))
    assert energy(db, D0, D0 + QUARTER, "B") == 1
