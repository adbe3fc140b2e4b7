"""Several writers of the interval ledger at once: nothing is lost, and a newer result stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Barrier, Thread

import pytest
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger import close_days, write_slots
from greenpower.mongo.energy.ledger_part import QUARTER
from greenpower.mongo.energy.ledger_read import read_stretches
from greenpower.mongo.energy.ledger_write import MAX_REWRITE_ATTEMPTS, Rewriter
from greenpower.mongo.rollups.watermarks import take_as_of
from greenpower.mongo.schema.layout import WATERMARKS
from tests.mongo.energy.ledger_world import HOUR, energy, quarter
from tests.mongo.energy.plain_ledger import (
    DAY,
    NOW,
    TYPE,
    as_of,
)

D0 = datetime(2027, 12, 30, tzinfo=UTC)
DEVICES = ("A", "B", "C")


def test_who_writes_while_a_day_is_being_closed_writes_its_total(
    db: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The closing has read the day already, and has not written the totals yet."""
    import greenpower.mongo.energy.ledger as ledger

    write_slots(db, TYPE, [quarter(D0, 5)], as_of(1), NOW)
    closing = ledger._write_days

    def meanwhile(*arguments: object) -> object:
        monkeypatch.setattr(ledger, "_write_days", closing)
        assert write_slots(db, TYPE, [quarter(D0 + HOUR, 3)], as_of(3), NOW) == set()
        return closing(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger, "_write_days", meanwhile)
    # Its own result is older: it leaves the newer total alone and says so.
    assert close_days(db, TYPE, D0, D0 + DAY, as_of(2), NOW) == {("A", D0)}
    assert energy(db, D0, D0 + DAY) == 8


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

    close_days(db, TYPE, D0, D0 + 2 * DAY, as_of(-(10**12)), NOW)
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
        if self.as_of == as_of(99) and (number := next(others, None)) is not None:
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
