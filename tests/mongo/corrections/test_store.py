"""Keeping corrections: made, found, revoked; two of a kind that overlap are refused, also when made at once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections.document import OF_ENERGY, OF_SAMPLES, CorrectionDocument, CorrectionKind
from greenpower.mongo.corrections.store import (
    NewCorrection,
    NotEndableError,
    NotRevocableError,
    OverlapError,
    create,
    find_correction,
    finish,
    read_active,
    revoke,
    revoke_group,
)
from greenpower.mongo.schema.layout import CORRECTIONS, ensure_indexes

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (), settings)
        yield db


def new(begin: float = 0, end: float | None = None, **more: Any) -> NewCorrection:
    """A correction between hours after noon."""
    values: dict[str, Any] = {"type": "meter", "device_id": "M1", "field": "c", "kind": CorrectionKind.EXCLUSION}
    values |= {"reason": "why", "made_by": "ann", **more}
    return NewCorrection(begin=NOON + begin * HOUR, end=None if end is None else NOON + end * HOUR, **values)


def active(db: Database[Document], begin: float | None = None, end: float | None = None, **more: Any) -> set[ObjectId]:
    times = [None if hour is None else NOON + hour * HOUR for hour in (begin, end)]
    return {one["_id"] for one in read_active(db[CORRECTIONS], type="meter", begin=times[0], end=times[1], **more)}


@pytest.mark.parametrize("kind", CorrectionKind)
def test_a_correction_is_made_and_revoked(db: Database[Document], kind: CorrectionKind) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    made = create(db[CORRECTIONS], new(kind=kind))
    assert find_correction(db[CORRECTIONS], "M1", made["_id"]) == made
    assert find_correction(db[CORRECTIONS], "M2", made["_id"]) is None
    assert ("changed" in made) == (kind in OF_SAMPLES)
    assert made["made_by"] == "ann" and before <= made["made_at"] == made["updated_at"]
    assert active(db) == {made["_id"]}
    revoked = revoke(db[CORRECTIONS], made["_id"], "bob", "wrong")
    assert (revoked["revoked_by"], revoked["revoke_reason"]) == ("bob", "wrong")
    assert revoked["updated_at"] == revoked["revoked_at"] and revoked["revoked_at"] is not None
    assert ("changed" in revoked) == (kind in OF_SAMPLES)
    assert revoked.get("changed") != made.get("changed") or kind in OF_ENERGY
    assert active(db) == set()
    with pytest.raises(NotRevocableError):
        revoke(db[CORRECTIONS], made["_id"], "bob", "again")
    with pytest.raises(NotRevocableError):
        revoke(db[CORRECTIONS], ObjectId(), "bob", "")


def test_one_is_given_an_earlier_end(db: Database[Document]) -> None:
    made = create(db[CORRECTIONS], new(kind=CorrectionKind.FACTOR, factor=2))
    ended = finish(db[CORRECTIONS], made["_id"], NOON + 3 * HOUR, "bob", "repaired")
    assert (ended["end"], ended["touched_until"], ended["ended_by"]) == (NOON + 3 * HOUR, None, "bob")
    assert ended["changed"] != made["changed"] and ended["updated_at"] == ended["ended_at"]
    # What is still to be invalidated is not forgotten by a second change.
    again = finish(db[CORRECTIONS], made["_id"], NOON + 2 * HOUR, "bob", "")
    assert (again["end"], again["touched_until"]) == (NOON + 2 * HOUR, None)
    for hours in (2, 5, 0, -1):
        with pytest.raises(NotEndableError):
            finish(db[CORRECTIONS], made["_id"], NOON + hours * HOUR, "bob", "")
    energy = create(db[CORRECTIONS], new(kind=CorrectionKind.FIXED, energy=5))
    revoke(db[CORRECTIONS], made["_id"], "bob", "")
    for one in (made, energy):
        with pytest.raises(NotEndableError):
            finish(db[CORRECTIONS], one["_id"], NOON + HOUR, "bob", "")


def test_a_group_is_revoked_in_one(db: Database[Document]) -> None:
    group = ObjectId()
    for field in ("c", "d"):
        create(db[CORRECTIONS], new(field=field, kind=CorrectionKind.EXCHANGE, group=group, side="old", register=1.5))
    create(db[CORRECTIONS], new())
    assert [revoke_group(db[CORRECTIONS], group, "bob", "wrong") for _ in range(2)] == [2, 0]
    assert len(active(db)) == 1


def test_text_that_looks_like_an_expression_is_kept_as_it_is(db: Database[Document]) -> None:
    made = create(db[CORRECTIONS], new(reason="$type", made_by="$$NOW"))
    assert (made["reason"], made["made_by"]) == ("$type", "$$NOW")
    revoked = revoke(db[CORRECTIONS], made["_id"], "$_id", "{$x: 1}")
    assert (revoked["revoked_by"], revoked["revoke_reason"]) == ("$_id", "{$x: 1}")


def test_those_of_a_span_are_found(db: Database[Document]) -> None:
    ids = [
        create(db[CORRECTIONS], one)["_id"]
        for one in (new(0, 2), new(2, 3), new(3, None), new(0, 1, device_id="M2"), new(0, 1, field="d"))
    ]
    assert active(db) == set(ids)
    assert active(db, device_id="M1", field="c") == set(ids[:3])
    assert active(db, devices=["M2", "M3"]) == {ids[3]}
    assert active(db, 2, 2.5, devices=["M1"]) == {ids[1]}
    assert active(db, 1.5, 2, devices=["M1"]) == {ids[0]}
    assert active(db, 100, None) == {ids[2]}
    assert active(db, None, 0) == set()
    assert active(db, kinds=[CorrectionKind.FACTOR]) == set()
    assert active(db, kind=CorrectionKind.EXCLUSION) == set(ids)


def test_two_of_a_kind_that_overlap_are_refused(db: Database[Document]) -> None:
    first = create(db[CORRECTIONS], new(2, 4))
    for begin, end in ((2, 4), (3, None), (0, 3), (0, None), (2.5, 3), (0, 100)):
        with pytest.raises(OverlapError) as error:
            create(db[CORRECTIONS], new(begin, end))
        assert error.value.other["_id"] == first["_id"]
    others = [new(0, 2), new(4, 5), new(2, 4, field="d"), new(2, 4, device_id="M2"), new(2, 4, type="other")]
    others.append(new(2, 4, kind=CorrectionKind.FACTOR, factor=2))
    for other in others:
        create(db[CORRECTIONS], other)
    revoke(db[CORRECTIONS], first["_id"], "ann", "")
    create(db[CORRECTIONS], new(2, 3))
    for kind in (CorrectionKind.INCIDENT, CorrectionKind.EXCHANGE):
        assert create(db[CORRECTIONS], new(kind=kind))["_id"] != create(db[CORRECTIONS], new(kind=kind))["_id"]


def test_of_those_that_are_made_at_once_one_is_kept(db: Database[Document]) -> None:
    def make(number: int) -> CorrectionDocument | None:
        try:
            return create(db[CORRECTIONS], new(number % 2, 5))
        except OverlapError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(make, range(16)) if one is not None]
    assert len(made) == 1 and active(db) == {made[0]["_id"]}
    apart = [new(10 + number, 11 + number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(lambda one: create(db[CORRECTIONS], one), apart))) == 8
    assert len(active(db)) == 9
