"""Entries of the audit in the documents that were changed: which hold one, after how much of a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections import late_decision
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create, finish, revoke
from greenpower.mongo.devices.push_keys import new_push_key, revoke_push_key
from greenpower.mongo.rollups import decisions
from greenpower.mongo.rollups.decisions import NotDecidableError, move_swap, record_swap, withdraw_swap
from greenpower.mongo.rollups.exchanges import keep_exchange, move_exchange, revoke_exchange
from greenpower.mongo.rollups.incidents import CONFIRMED, OPEN
from greenpower.mongo.schema.layout import CORRECTIONS, EXCHANGES, INCIDENTS, PUSH_KEYS
from greenpower.mongo.unaudited import UNAUDITED, UnauditedEntry, held, pushed, take_out, unaudited_entries
from tests.killed import Killed, end_process

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
READINGS = {"a": (9.0, 1.0), "b": (9.0, 1.0)}
FACTOR = NewCorrection(
    type="meter", device_id="M1", field="c", kind=CorrectionKind.FACTOR, begin=NOON, end=None, reason="$x", made_by="$y"
)


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        yield client[settings.mongo_db_name]


def entry(name: str, **more: Any) -> UnauditedEntry:
    return {"id": name, "entry": f'{{"$reason": "{name}"}}', **more}  # type: ignore[typeddict-item]


def waiting(db: Database[Document]) -> list[tuple[str, str]]:
    """(change, what it is about) of all entries that documents hold, in order."""
    return sorted((found["id"], about) for about, found in unaudited_entries(db))


def incident(db: Database[Document], **more: Any) -> Document:
    document = {
        "_id": ObjectId(), "type": "meter", "device_id": "M1", "field": "c", "at": NOON, "swap": False,
        "incident": "suspect_step", "status": OPEN, "current": True, "value": 9.0, "before": 1.0, **more,
    }  # fmt: skip
    db[INCIDENTS].insert_one(document)
    return document


def second(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ends the process when it is called for the second time."""
    calls: list[int] = []

    def counted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise Killed
        return function(*arguments, **named)

    return counted


def test_each_change_leaves_its_entry_and_others_stay(db: Database[Document]) -> None:
    made = create(db[CORRECTIONS], FACTOR, entry("create"))["_id"]
    finish(db[CORRECTIONS], made, NOON + HOUR, "ann", "", entry("finish"))
    revoke(db[CORRECTIONS], made, "ann", "", entry("revoke"))
    about = str(made)
    assert waiting(db) == [("create", about), ("finish", about), ("revoke", about)]
    take_out(db, "finish")
    take_out(db, "$unknown")
    assert waiting(db) == [("create", about), ("revoke", about)]
    found = db[CORRECTIONS].find_one({"_id": made})
    assert found is not None and found[UNAUDITED] == [entry("create"), entry("revoke")]
    take_out(db, "create")
    take_out(db, "revoke")
    found = db[CORRECTIONS].find_one({"_id": made})
    assert found is not None and UNAUDITED not in found and not waiting(db)


def test_exchanges_and_keys(db: Database[Document]) -> None:
    def keep(name: str) -> Document:
        place: dict[str, Any] = {"device": "A", "new_device": None, "at": NOON, "readings": {}, "took": {}}
        return keep_exchange(db[EXCHANGES], **place, by="a", reason="", entry=entry(name))

    made = keep("1")
    moved = move_exchange(db[EXCHANGES], keep("2"), NOON + HOUR, "a", "", entry("3"))
    revoke_exchange(db[EXCHANGES], moved, "a", "", entry("4"))
    key, _ = new_push_key(name="k", claims=[], devices=[], made_by="a", now=NOON)
    db[PUSH_KEYS].insert_one({**key, **held(entry("5"))})
    assert revoke_push_key(db[PUSH_KEYS], key["_id"], "a", NOON, entry("6"))
    assert not revoke_push_key(db[PUSH_KEYS], key["_id"], "a", NOON, entry("7"))
    about = [str(made["_id"])] * 4 + [str(key["_id"])] * 2
    assert waiting(db) == list(zip("123456", about, strict=True))


def test_a_swap_of_which_one_counter_is_changed_has_its_entry(
    db: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(change: Callable[[], object]) -> str:
        """What the entry is about of a change that ended with its first counter."""
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(decisions, "pushed", second(pushed))
            change()
        [(change_id, about)] = waiting(db)
        take_out(db, change_id)
        return about

    collection = db[INCIDENTS]
    about = cut_short(lambda: record_swap(collection, "meter", "M1", NOON, READINGS, "ann", entry=entry("record")))
    swap = record_swap(collection, "meter", "M1", NOON, READINGS, "ann")
    assert about == str(swap[0]["_id"])
    assert about == cut_short(lambda: move_swap(collection, swap, NOON + HOUR, "ann", "", entry("move")))
    swap = decisions.find_swap(collection, "M1", swap[1]["_id"])
    [moved] = move_swap(collection, swap, NOON + HOUR, "ann")
    swap = decisions.find_swap(collection, "M1", moved["_id"])
    assert len(swap) == 2
    assert about == cut_short(lambda: withdraw_swap(collection, swap, "ann", "", entry("withdraw")))


def test_a_withdrawn_swap_makes_room_once_its_entry_is_written(db: Database[Document]) -> None:
    collection = db[INCIDENTS]
    there = record_swap(collection, "meter", "M1", NOON, READINGS, "ann")
    withdraw_swap(collection, there, "ann", "", entry("withdraw"))
    swap = record_swap(collection, "meter", "M1", NOON + HOUR, READINGS, "ann")
    with pytest.raises(NotDecidableError):
        move_swap(collection, swap, NOON, "ann", "", entry("move"))
    assert waiting(db) == [("withdraw", str(there[0]["_id"]))]
    take_out(db, "withdraw")
    assert [one["at"] for one in move_swap(collection, swap, NOON, "ann")] == [NOON, NOON]


def test_a_late_decision_has_its_entry_from_its_correction_on(
    db: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = incident(db)
    about = str(found["_id"])
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(late_decision, "decide", end_process)
        late_decision.decide_late(db, found, CONFIRMED, "ann", "", None, entry=entry("1", object_id=about))
    assert waiting(db) == [("1", about)] and db[CORRECTIONS].count_documents({}) == 1
    late_decision.decide_late(db, found, CONFIRMED, "ann", "", None, entry=entry("2", object_id=about))
    assert waiting(db) == [("1", about), ("2", about), ("2", about)]


def test_a_late_decision_that_is_refused_has_none(db: Database[Document]) -> None:
    found = incident(db)
    db[INCIDENTS].update_one({"_id": found["_id"]}, {"$set": {"incident": "fall"}})
    with pytest.raises(NotDecidableError):
        late_decision.decide_late(db, found, CONFIRMED, "ann", "", None, entry=entry("1"))
    assert waiting(db) == [] and db[CORRECTIONS].count_documents({"revoked_at": None}) == 0
