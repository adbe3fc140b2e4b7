"""What operators decide about incidents: keeping it, and which decisions there are.

A decision can be changed and withdrawn; who decided last, when and why stays on the incident. What belongs here: the
decisions as documents. What does not: incidents as rollups find them (`greenpower.mongo.rollups.incidents`), and which
hours a decision has computed again (`greenpower.api.energy.device_incidents`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.collection import Collection

from greenpower.measure.counter.rules import Incident
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.incidents import CONFIRMED, NOTED, OPEN, REJECTED
from greenpower.mongo.unaudited import UNAUDITED, UnauditedEntry, pushed

KINDS = tuple(incident.value for incident in Incident)
# What rollups find settled by itself; a withdrawn decision leaves it so.
SELF_EVIDENT = frozenset({Incident.DIP, Incident.SPIKE, Incident.RESET, Incident.ROLLOVER})
# What the register shows is left out, whatever anybody says of it.
LEFT_OUT: Mapping[Incident, str] = {
    Incident.DIP: "a dip is left out because the register came back",
    Incident.SPIKE: "a spike is left out because the register went on below it",
}
# They begin, or end, a stretch of time in which nothing is certain: a decision touches all of it.
HELD = frozenset({Incident.FALL, Incident.RESET, Incident.RESTART, Incident.UNIT_CHANGE, Incident.SWAP})
# Nothing is counted unless they are confirmed.
UNCOUNTED = frozenset({Incident.STEP, Incident.RESTART})


class NotDecidableError(Exception):
    """There is nothing to decide about an incident in this way. The text says why."""


def find_incident(collection: Collection[Document], device: str, incident_id: ObjectId) -> Document | None:
    """An incident of a device, None if there is none. Raises PyMongoError."""
    return collection.find_one({"_id": incident_id, "device_id": device})


def kind_of(incident: Document) -> Incident:
    """The kind of an incident."""
    return Incident.SWAP if incident["swap"] else Incident(incident["incident"])


def meaning(incident: Document, status: str) -> str:
    """What a status means for the energy of an incident: two with the same meaning give the same numbers."""
    kind = kind_of(incident)
    if kind in LEFT_OUT or kind is Incident.SMALL_FALL:
        return "as found"
    if kind in UNCOUNTED:
        return "counted" if status == CONFIRMED else "not counted"
    return "as found" if status in (OPEN, NOTED) else status


def check_decidable(incident: Document, status: str) -> None:
    """Raise NotDecidableError where an incident cannot get a status: confirmed, rejected, or open again."""
    kind, decided = kind_of(incident), incident["status"] in (CONFIRMED, REJECTED)
    if "exchange_id" in incident:
        raise NotDecidableError("it is a part of a meter exchange: revoke or move the exchange as a whole")
    if incident["swap"]:
        if status == OPEN:
            raise NotDecidableError("a meter swap is never open: reject it to undo it, confirm it to redo it")
        return
    if status == OPEN:
        if not decided:
            raise NotDecidableError("there is no decision to withdraw")
        return
    if kind in LEFT_OUT:
        raise NotDecidableError(f"{LEFT_OUT[kind]}: there is nothing to decide")
    if not incident["current"]:
        raise NotDecidableError("later readings showed that this did not happen: there is nothing to decide any more")


def decide(
    collection: Collection[Document],
    incident: Document,
    status: str,
    by: str,
    reason: str = "",
    entry: UnauditedEntry | None = None,
) -> Document:
    """Keep a decision on an incident and return the incident as it is now. Status `open` withdraws the decision.

    entry: of the audit, which the incident holds until that is written.

    Raises NotDecidableError where there is nothing to decide, and where the incident has changed since it was read.
    """
    check_decidable(incident, status)
    if status == OPEN and kind_of(incident) in SELF_EVIDENT:
        status = NOTED
    now = datetime.now(UTC)
    change = {"status": status, "decided_by": by, "decided_at": now, "reason": reason, "updated_at": now}
    same = {name: incident[name] for name in ("_id", "incident", "current")}
    until = incident.get("until") if kind_of(incident) in HELD else incident["at"]
    update = pushed(_touching(change, [(incident["at"], until)]), entry)
    if not collection.update_one(same, update).matched_count:
        raise NotDecidableError("rollups have just computed this incident again: look at it once more")
    return {**incident, **change}


def record_swap(
    collection: Collection[Document],
    type_name: str,
    device: str,
    at: datetime,
    readings: dict[str, Any],
    by: str,
    reason: str = "",
    exchange_id: ObjectId | None = None,
    entry: UnauditedEntry | None = None,
) -> list[Document]:
    """Keep a meter swap; one at the same time is replaced. readings: {field: (last of the old, first of the new)}, None
    for the register next to it. exchange_id: of the exchange that it is a part of. entry: of the audit, which the first
    incident holds until that is written."""
    now = datetime.now(UTC)
    documents: list[Document] = []
    for field, (last, first) in readings.items():
        place = {"type": type_name, "device_id": device, "field": field, "at": at, "swap": True}
        content = {
            "incident": Incident.SWAP.value,
            "last": last,
            "first": first,
            "status": CONFIRMED,
            "current": True,
            "decided_by": by,
            "decided_at": now,
            "reason": reason,
            "updated_at": now,
        }
        change: Document = {**_touching(content, [(at, None)]), "$setOnInsert": {"found_at": now}}
        if exchange_id is None:
            change["$unset"] = {"exchange_id": ""}
        else:
            change["$set"]["exchange_id"] = exchange_id
        change = pushed(change, None if documents else entry)
        kept = collection.find_one_and_update(place, change, upsert=True, return_document=ReturnDocument.AFTER)
        assert kept is not None
        documents.append(kept)
    return documents


def find_swap(collection: Collection[Document], device: str, incident_id: ObjectId) -> list[Document]:
    """The incidents that record a swap with one of them: of all counters, at its time. None if there is no such swap,
    or it is withdrawn. Raises PyMongoError."""
    one = collection.find_one({"_id": incident_id, "device_id": device, "swap": True, "current": True})
    if one is None:
        return []
    together = {name: one[name] for name in ("type", "device_id", "at", "swap", "current")}
    return collection.find(together).sort("field").to_list()


def move_swap(
    collection: Collection[Document],
    swap: Iterable[Document],
    at: datetime,
    by: str,
    reason: str = "",
    entry: UnauditedEntry | None = None,
) -> list[Document]:
    """Move a swap, as `find_swap` gives it, to another time. entry: of the audit, which the first incident holds until
    that is written. Raises NotDecidableError, PyMongoError.

    A move that was cut short goes on when it is asked for again.
    """
    swap = list(swap)
    _check_alone(swap)
    fields = [one["field"] for one in swap]
    place = {name: swap[0][name] for name in ("type", "device_id", "swap")}
    if collection.find_one({**place, "field": {"$in": fields}, "at": at, "current": True}) is not None:
        raise NotDecidableError("there is a swap at that time already")
    # One that was withdrawn there has no say any more, once the audit has it.
    withdrawn = {**place, "field": {"$in": fields}, "at": at, "current": False}
    collection.delete_many({**withdrawn, UNAUDITED: {"$exists": False}})
    if collection.find_one(withdrawn) is not None:
        raise NotDecidableError("a swap at that time has just been withdrawn: try again in a minute")
    times = (swap[0]["at"], at)
    return [_change_swap(collection, one, {"at": at}, times, by, reason, entry) for one, entry in _first(swap, entry)]


def withdraw_swap(
    collection: Collection[Document],
    swap: Iterable[Document],
    by: str,
    reason: str = "",
    entry: UnauditedEntry | None = None,
) -> list[Document]:
    """Withdraw a swap, as `find_swap` gives it: it never was. entry: of the audit, which the first incident holds until
    that is written. Raises NotDecidableError, PyMongoError."""
    swap = list(swap)
    _check_alone(swap)
    change = {"status": REJECTED, "current": False}
    times = (swap[0]["at"],)
    return [_change_swap(collection, one, change, times, by, reason, entry) for one, entry in _first(swap, entry)]


def _first(swap: Iterable[Document], entry: UnauditedEntry | None) -> Iterable[tuple[Document, UnauditedEntry | None]]:
    """The incidents of a swap, the first with the entry."""
    return ((one, None if number else entry) for number, one in enumerate(swap))


def _check_alone(swap: Iterable[Document]) -> None:
    if any("exchange_id" in one for one in swap):
        raise NotDecidableError("it is a part of a meter exchange: revoke or move the exchange as a whole")


def _change_swap(
    collection: Collection[Document],
    one: Document,
    change: Document,
    times: Iterable[datetime],
    by: str,
    reason: str,
    entry: UnauditedEntry | None,
) -> Document:
    now = datetime.now(UTC)
    change = {**change, "decided_by": by, "decided_at": now, "reason": reason, "updated_at": now}
    changed = collection.find_one_and_update(
        {"_id": one["_id"], "at": one["at"], "current": True},
        pushed(_touching(change, [(time, None) for time in times]), entry),
        return_document=ReturnDocument.AFTER,
    )
    if changed is None:
        raise NotDecidableError("somebody has just changed this swap: look at it once more")
    return changed


def _touching(change: Document, stretches: Iterable[tuple[datetime, datetime | None]]) -> Document:
    """An update that leaves on record what it touches (`greenpower.mongo.rollups.incident_changes`)."""
    touched = [{"begin": begin, "end": end} for begin, end in stretches]
    return {"$set": {**change, "changed": ObjectId()}, "$push": {"touched": {"$each": touched}}}
