"""Notes of unfinished work: which are read, what becomes of them, and that they outlive what fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.collection import Collection

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.energy.pending import read_pending
from greenpower.mongo.rollups import unfinished as module
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.unfinished import Unfinished, Work, read_unfinished, remove_work, shorten, unfinished
from greenpower.mongo.schema.layout import INVALIDATIONS

T0 = datetime(2026, 3, 28, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def marks(settings: Settings) -> Iterator[Collection[Document]]:
    with sync_client(settings) as client:
        yield client[settings.mongo_db_name][INVALIDATIONS]


def a_span(name: str = "m", first: int = 0, last: int = 10, devices: tuple[str, ...] | None = ("A",)) -> Unfinished:
    return Unfinished.of(name, Work.DEMO, T0 + first * HOUR, T0 + last * HOUR, devices)


def spans(marks: Collection[Document], device: str, first: int = 0, last: int = 24) -> list[tuple[int, int]]:
    pending = read_pending(marks, "m", ("today_",), [device], T0 + first * HOUR, T0 + last * HOUR)
    return [((begin - T0) // HOUR, (end - T0) // HOUR) for begin, end in pending.spans_of(device)]


def test_a_note_is_there_until_the_work_is_done(marks: Collection[Document]) -> None:
    with unfinished(marks, a_span()):
        assert [item.devices for item in read_unfinished(marks, "m")] == [("A",)]
        assert not read_unfinished(marks, "m2") and not read_unfinished(marks, "")
    assert not read_unfinished(marks, "m")
    with pytest.raises(RuntimeError), unfinished(marks, a_span()):
        raise RuntimeError
    assert len(read_unfinished(marks, "m")) == 1
    remove_work(marks, "m", Work.BACKFILL)
    assert len(read_unfinished(marks, "m")) == 1
    remove_work(marks, "m", Work.DEMO)
    assert not read_unfinished(marks, "m")


def test_spans_are_pending_beside_hours(marks: Collection[Document]) -> None:
    invalidate(marks, [Place.of("m", "today_", "A", T0 + number * HOUR) for number in (1, 10, 15)])
    invalidate(marks, [Place.of("m2", "today_", "A", T0 + 20 * HOUR)])
    with unfinished(marks, a_span()), unfinished(marks, a_span(first=18, last=19, devices=None)):
        assert spans(marks, "A") == [(0, 11), (15, 16), (18, 19)]
        assert spans(marks, "B") == [(18, 19)]
        assert spans(marks, "A", 16, 18) == []
    assert spans(marks, "A") == [(1, 2), (10, 11), (15, 16)]


def test_of_many_devices_it_is_of_all() -> None:
    many = [str(number) for number in range(module.MAX_NOTED_DEVICES + 1)]
    assert Unfinished.of("m", Work.IMPORT, T0, T0 + HOUR, many).devices is None
    assert Unfinished.of("m", Work.IMPORT, T0, T0 + HOUR, many[1:]).devices == tuple(sorted(many[1:]))


def test_what_was_renewed_is_not_shortened(marks: Collection[Document], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RENEWED_EVERY", timedelta())
    with unfinished(marks, a_span()) as renew:
        [before] = read_unfinished(marks, "m")
        renew()
        shorten(marks, before, T0 + 5 * HOUR)
        [after] = read_unfinished(marks, "m")
        assert (after.begin, after.token == before.token) == (T0, False)
        shorten(marks, after, T0 + 5 * HOUR)
        assert [item.begin for item in read_unfinished(marks, "m")] == [T0 + 5 * HOUR]
        shorten(marks, after, after.end)
        assert not read_unfinished(marks, "m")
