"""Meter exchanges: one document for everything that changes when a meter is replaced by another.

The document says what people know: when, which registers, why. What follows from it is written from it by
`apply_exchange`: the swaps of the counters and, where the new meter has an id of its own, the corrections of energy at
the end of the old device and the begin of the new one. That may be repeated: a request that was cut short leaves
`applied` false, and the worker does the rest. Revoking and moving change the document and apply it again.

What belongs here: the documents and what follows from them in MongoDB. What does not: which exchange is possible, and
the registry of devices (`greenpower.api.energy.exchange`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.catalog.facts import registers
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.samples import corrected_neighbours, read_sample_corrections
from greenpower.mongo.corrections.store import NewCorrection, NotRevocableError, create, revoke
from greenpower.mongo.rollups.decisions import record_swap
from greenpower.mongo.rollups.hours import invalidate_counter
from greenpower.mongo.rollups.incidents import CONFIRMED, REJECTED
from greenpower.mongo.schema.layout import CORRECTIONS, EXCHANGES, INCIDENTS
from greenpower.mongo.unaudited import UnauditedEntry, pushed

# Registers by data type and counter: `last` of the old meter, `first` of the new one; None where nobody read it.
Registers = Mapping[str, Mapping[str, Mapping[str, float | None]]]
# An exchange that is older than this and not applied was cut short.
CUT_SHORT_SECONDS = 30


class ExchangeChangedError(Exception):
    """Somebody else has just changed the exchange."""


def active_exchange(collection: Collection[Document], device: str, at: datetime) -> Document | None:
    """The exchange of a device at a time, None if there is none or it was revoked. Raises PyMongoError."""
    return collection.find_one({"device_id": device, "at": at, "revoked_at": None})


def find_exchange(collection: Collection[Document], device: str, exchange_id: ObjectId) -> Document | None:
    """An exchange in which a device is the old or the new one, None if there is none. Raises PyMongoError."""
    return collection.find_one({"_id": exchange_id, **exchanges_of(device)})


def exchanges_of(device: str) -> Document:
    """A filter on the exchanges in which a device is the old or the new one."""
    return {"$or": [{"device_id": device}, {"new_device_id": device}]}


def keep_exchange(
    collection: Collection[Document],
    *,
    device: str,
    new_device: str | None,
    at: datetime,
    readings: Registers,
    took: Mapping[str, object],
    by: str,
    reason: str,
    entry: UnauditedEntry | None = None,
) -> Document:
    """Keep an exchange, not applied yet; one of the same device at the same time is replaced.

    new_device: None where the new meter sends the id of the old one. took: what the new device took over from the old
    one. entry: of the audit, which it holds until that is written, as it does below. Raises PyMongoError.
    """
    now = _now()
    place = {"device_id": device, "at": at, "revoked_at": None}
    content: Document = {
        "new_device_id": new_device,
        "readings": readings,
        "took": took,
        "reason": reason,
        "made_by": by,
        "made_at": now,
        "applied": False,
        "updated_at": now,
    }
    change = pushed({"$set": content}, entry)
    kept = collection.find_one_and_update(place, change, upsert=True, return_document=ReturnDocument.AFTER)
    assert kept is not None
    return kept


def move_exchange(
    collection: Collection[Document],
    exchange: Document,
    at: datetime,
    by: str,
    reason: str,
    entry: UnauditedEntry | None = None,
) -> Document:
    """Give an exchange another time. Raises ExchangeChangedError, PyMongoError."""
    before = {name: exchange[name] for name in ("at", "reason", "made_by", "made_at")}
    change = {"at": at, "reason": reason, "made_by": by, "made_at": _now(), "since": min(at, exchange["at"])}
    return _change(collection, exchange, pushed({"$set": change, "$push": {"earlier": before}}, entry))


def revoke_exchange(
    collection: Collection[Document], exchange: Document, by: str, reason: str, entry: UnauditedEntry | None = None
) -> Document:
    """Revoke an exchange. Raises ExchangeChangedError, PyMongoError."""
    change = {"revoked_by": by, "revoked_at": _now(), "revoke_reason": reason}
    return _change(collection, exchange, pushed({"$set": change}, entry))


def _change(collection: Collection[Document], exchange: Document, change: Document) -> Document:
    change["$set"] |= {"applied": False, "updated_at": _now()}
    same = {"_id": exchange["_id"], "updated_at": exchange["updated_at"], "revoked_at": None}
    kept = collection.find_one_and_update(same, change, return_document=ReturnDocument.AFTER)
    if kept is None:
        raise ExchangeChangedError
    return kept


def apply_exchange(
    db: Database[Document], datatypes: Iterable[DataType], settings: Settings, exchange: Document
) -> None:
    """Bring what follows from an exchange in line with it, and have the energy computed again.

    Raises PyMongoError; it may be repeated, and the worker does so.
    """
    incidents, at = db[INCIDENTS], exchange["at"]
    types = {datatype.name: datatype for datatype in datatypes}
    by, reason = exchange["made_by"], exchange["reason"]
    revoked = exchange.get("revoked_at") is not None
    if not revoked:
        for type_name, fields in exchange["readings"].items():
            for device, pairs in swaps_of(exchange, fields).items():
                record_swap(incidents, type_name, device, at, pairs, by, reason, exchange["_id"])
    # The devices are for the index.
    gone: Document = {"exchange_id": exchange["_id"], "status": CONFIRMED, "device_id": {"$in": devices_of(exchange)}}
    end: Document = {"status": REJECTED, "updated_at": _now()}
    if revoked:
        end |= {"decided_by": exchange["revoked_by"], "decided_at": exchange["revoked_at"]}
        end |= {"reason": exchange["revoke_reason"]}
    else:
        # Of the time it had before it was moved.
        gone["at"], end["current"] = {"$ne": at}, False
    incidents.update_many(gone, {"$set": end})
    _correct_energy(db, types, exchange)
    for type_name in exchange["readings"]:
        if (datatype := types.get(type_name)) is not None and registers(datatype):
            for device in devices_of(exchange):
                invalidate_counter(db, datatype, settings, device, exchange.get("since") or at, before=True)
    same = {"_id": exchange["_id"], "updated_at": exchange["updated_at"]}
    db[EXCHANGES].update_one(same, {"$set": {"applied": True}, "$unset": {"since": ""}})


def _correct_energy(db: Database[Document], types: Mapping[str, DataType], exchange: Document) -> None:
    """Bring the corrections of energy in line with an exchange: those of the ends that no sample of a device shows."""
    collection = db[CORRECTIONS]
    wanted = {} if exchange["revoked_at"] is not None else _corrections_of(exchange)
    for key, begun in list(wanted.items()):
        # What a new device has sent before leads to its swap, which counts all of it.
        if begun.side == "new" and (datatype := types.get(begun.type)) is not None:
            corrections = read_sample_corrections(db, begun.type, [begun.device_id])
            if corrected_neighbours(
                db[datatype.collection],
                begun.device_id,
                begun.begin,
                1,
                before=True,
                fields=(begun.field,),
                corrections=corrections,
                having=begun.field,
            ):
                del wanted[key]
    group: Document = {"group": exchange["_id"], "revoked_at": None}
    for document in collection.find(group).to_list():
        key = (document["device_id"], document["type"], document["field"])
        new = wanted.get(key)
        if new is not None and (new.begin, new.register) == (document["begin"], document["register"]):
            del wanted[key]
            continue
        by, reason = exchange.get("revoked_by") or exchange["made_by"], exchange.get("revoke_reason")
        with suppress(NotRevocableError):
            revoke(collection, document["_id"], by, reason or exchange["reason"])
    for new in wanted.values():
        create(collection, new)


def _corrections_of(exchange: Document) -> dict[tuple[str, str, str], NewCorrection]:
    """The corrections of energy of an exchange with a new device id, by device, type and counter."""
    old, new = exchange["device_id"], exchange["new_device_id"]
    return {
        (device, type_name, field): NewCorrection(
            type=type_name,
            device_id=device,
            field=field,
            kind=CorrectionKind.EXCHANGE,
            begin=exchange["at"],
            end=None,
            reason=exchange["reason"],
            made_by=exchange["made_by"],
            other_device=other,
            side=side,
            register=register,
            group=exchange["_id"],
        )
        for type_name, fields in exchange["readings"].items()
        for field, pair in fields.items()
        for device, other, side, register in ((old, new, "old", pair["last"]), (new, old, "new", pair["first"]))
        if new is not None and register is not None
    }


def devices_of(exchange: Document) -> list[str]:
    """The devices that take part: one, or the old and the new one."""
    return [name for name in (exchange["device_id"], exchange["new_device_id"]) if name is not None]


def swaps_of(
    exchange: Document, fields: Mapping[str, Mapping[str, float | None]]
) -> dict[str, dict[str, tuple[float | None, float | None]]]:
    """The swaps of an exchange by device: {field: (last of the old, first of the new)}.

    Where the new meter has an id of its own, the old device ends with `last`, and the new one begins with `first`.
    """
    pairs = {field: (pair["last"], pair["first"]) for field, pair in fields.items()}
    old, new = exchange["device_id"], exchange["new_device_id"]
    if new is None:
        return {old: pairs}
    return {
        old: {field: (last, None) for field, (last, _) in pairs.items()},
        new: {field: (None, first) for field, (_, first) in pairs.items()},
    }


def cut_short(collection: Collection[Document]) -> list[Document]:
    """The exchanges whose request was cut short before all was applied. Raises PyMongoError."""
    before = _now() - timedelta(seconds=CUT_SHORT_SECONDS)
    return collection.find({"applied": False, "updated_at": {"$lt": before}}).to_list()


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
