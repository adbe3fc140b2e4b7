"""Adjustments are up to date or marked, whoever stops or comes between."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.measure.adjustment.quarters import FIRST_TIME, LAST_TIME, Adjustment
from greenpower.mongo.adjustments.document import AdjustmentDocument, pack, unpack
from greenpower.mongo.adjustments.store import (
    begin_adjustments,
    mark_stale,
    read_adjustments,
    read_stale,
    remove_revoked,
    save_adjustment,
)
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create, read_active
from greenpower.mongo.schema.layout import ADJUSTMENTS, CORRECTIONS, ensure_indexes
from tests.rollups.world import ENERGY

T0 = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
COUNTER = {("M1", "c")}
RESULT = Adjustment(energy={7: 10, 5: -10}, silence={5: -900}, needs_begin=T0, needs_end=T0 + HOUR)


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (ENERGY,), settings)
        new = NewCorrection(
            type="energy",
            device_id="M1",
            field="c",
            kind=CorrectionKind.FIXED,
            begin=T0,
            end=T0 + HOUR,
            energy=5,
            reason="",
            made_by="ann",
        )
        create(db[CORRECTIONS], new)
        begin_adjustments(db[ADJUSTMENTS], read_active(db[CORRECTIONS], type="energy"))
        yield db


def stale(db: Database[Document]) -> list[AdjustmentDocument]:
    return read_stale(db[ADJUSTMENTS], "energy")


def save(collection: Collection[Document], kept: AdjustmentDocument, minutes: int) -> bool:
    return save_adjustment(collection, kept, RESULT, T0 + timedelta(minutes=minutes), T0)


def test_what_is_packed_comes_back() -> None:
    assert unpack(pack(RESULT)) == RESULT
    empty = Adjustment(needs_begin=FIRST_TIME, needs_end=LAST_TIME, ended=False)
    assert unpack(pack(empty)) == empty


def test_a_new_one_is_stale_until_it_is_saved(db: Database[Document]) -> None:
    [kept] = stale(db)
    assert save(db[ADJUSTMENTS], kept, 1)
    assert stale(db) == []
    found = read_adjustments(db[ADJUSTMENTS], [kept["_id"]])[kept["_id"]]
    assert unpack(found) == RESULT
    begin_adjustments(db[ADJUSTMENTS], read_active(db[CORRECTIONS], type="energy"))
    assert stale(db) == []


@pytest.mark.parametrize(
    "device,since,until,marked",
    [
        ("M1", T0, T0 + HOUR, 1),
        ("M1", T0 - HOUR, T0, 0),
        ("M1", T0 + HOUR, T0 + 2 * HOUR, 0),
        ("M2", T0, T0 + HOUR, 0),
    ],
)
def test_only_what_depends_on_it_is_marked(
    db: Database[Document], device: str, since: datetime, until: datetime, marked: int
) -> None:
    save(db[ADJUSTMENTS], stale(db)[0], 1)
    assert mark_stale(db[ADJUSTMENTS], "energy", {(device, "c")}, since, until) == marked
    assert len(stale(db)) == marked


def test_the_ledger_changes_while_it_is_evaluated(db: Database[Document]) -> None:
    [kept] = stale(db)
    mark_stale(db[ADJUSTMENTS], "energy", COUNTER, T0, T0 + HOUR)
    assert not save(db[ADJUSTMENTS], kept, 1)
    [again] = stale(db)
    assert save(db[ADJUSTMENTS], again, 2)


def test_a_late_evaluation_leaves_a_mark(db: Database[Document]) -> None:
    """Another one has removed the mark of a change that this one did not see."""
    [old] = stale(db)
    mark_stale(db[ADJUSTMENTS], "energy", COUNTER, T0, T0 + HOUR)
    [new] = stale(db)
    assert save(db[ADJUSTMENTS], new, 1)
    assert not save(db[ADJUSTMENTS], old, 2)
    assert len(stale(db)) == 1


def test_an_older_result_does_not_replace_a_newer_one(db: Database[Document]) -> None:
    [kept] = stale(db)
    assert save(db[ADJUSTMENTS], kept, 5)
    assert not save(db[ADJUSTMENTS], kept, 4)
    assert stale(db) == []


def test_what_is_revoked_is_removed(db: Database[Document]) -> None:
    [kept] = stale(db)
    assert remove_revoked(db[ADJUSTMENTS], "energy", {kept["_id"]}) == 0
    assert remove_revoked(db[ADJUSTMENTS], "energy", set()) == 1
