"""Keeping corrections: making one, revoking one, finding those that are in force.

Two of a kind that overlap would say two things of one sample. So the number of a correction among those of its field
and kind is unique: of two that are made at once, the second is told, looks again, and finds the first. What does not
belong here: what corrections touch (`greenpower.mongo.corrections.touch`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from bson import ObjectId
from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import OF_SAMPLES, CorrectionDocument, CorrectionKind
from greenpower.mongo.unaudited import UnauditedEntry, added, held

ACTIVE: Document = {"revoked_at": None}
#: Of these kinds a field has at most one at a time.
ONE_AT_A_TIME = frozenset(
    {CorrectionKind.EXCLUSION, CorrectionKind.FACTOR, CorrectionKind.FIXED, CorrectionKind.ESTIMATE}
)
OPTIONAL = (
    "factor", "energy", "method", "incident_id", "base_status", "other_device", "side", "register", "group",
)  # fmt: skip
# So many may be made at once, for one field.
MAX_CREATE_ATTEMPTS = 20


class OverlapError(Exception):
    """Another correction of the same kind is in force in the span. other: that one."""

    def __init__(self, other: CorrectionDocument) -> None:
        super().__init__(f"correction {other['_id']} overlaps")
        self.other = other


class NotRevocableError(Exception):
    """A correction is revoked already, or there is none."""


class NotEndableError(Exception):
    """A correction cannot have that end: it is not in force, or it does not last until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCorrection:
    """A correction to be made, with the keys of `CorrectionDocument`; end: None for one that has no end."""

    type: str
    device_id: str
    field: str
    kind: CorrectionKind
    begin: datetime
    end: datetime | None
    reason: str
    made_by: str
    factor: int | float | None = None
    energy: int | None = None
    method: str | None = None
    incident_id: ObjectId | None = None
    base_status: str | None = None
    other_device: str | None = None
    side: str | None = None
    register: int | float | None = None
    group: ObjectId | None = None

    def content(self) -> Document:
        """Its document without what the store adds."""
        return {
            **{name: getattr(self, name) for name in ("type", "device_id", "field", "begin", "end", "reason")},
            "kind": self.kind.value,
            "made_by": self.made_by,
            **{name: value for name in OPTIONAL if (value := getattr(self, name)) is not None},
        }


def create(
    collection: Collection[Document], new: NewCorrection, entry: UnauditedEntry | None = None
) -> CorrectionDocument:
    """Make a correction. entry: of the audit, which it holds until that is written. Raises OverlapError, PyMongoError.

    One of samples has the token `changed` until what it touches is invalidated.
    """
    place = {"type": new.type, "device_id": new.device_id, "field": new.field, "kind": new.kind.value}
    for _ in range(MAX_CREATE_ATTEMPTS):
        newest = collection.find_one(place, {"number": 1}, sort=[("number", -1)])
        # After the number was read: what is made later has the same one.
        if new.kind in ONE_AT_A_TIME and (others := read_active(collection, **place, begin=new.begin, end=new.end)):
            raise OverlapError(others[0])
        content = {
            **new.content(),
            "number": 0 if newest is None else newest["number"] + 1,
            "revoked_at": None,
            **({"changed": ObjectId()} if new.kind in OF_SAMPLES else {}),
            **held(entry),
        }
        literals = {name: {"$literal": value} for name, value in content.items()}
        change = [{"$set": {**literals, "made_at": "$$NOW", "updated_at": "$$NOW"}}]
        try:
            made = collection.find_one_and_update(
                {"_id": ObjectId()}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        except DuplicateKeyError:
            continue
        return cast("CorrectionDocument", made)
    raise AssertionError(f"{place}: more corrections at once than can be")


def revoke(
    collection: Collection[Document],
    correction_id: ObjectId,
    by: str,
    reason: str,
    entry: UnauditedEntry | None = None,
) -> CorrectionDocument:
    """Revoke a correction; it stays on record. Raises NotRevocableError where it is not in force, PyMongoError.

    One of samples has a new token `changed` until what it touches is invalidated.
    """
    revoked = collection.find_one_and_update(
        {"_id": correction_id, **ACTIVE}, _revocation(by, reason, entry), return_document=ReturnDocument.AFTER
    )
    if revoked is None:
        raise NotRevocableError(f"correction {correction_id} is not in force")
    return cast("CorrectionDocument", revoked)


def finish(
    collection: Collection[Document],
    correction_id: ObjectId,
    end: datetime,
    by: str,
    reason: str,
    entry: UnauditedEntry | None = None,
) -> CorrectionDocument:
    """Give a correction of samples an earlier end than it has. Raises NotEndableError, PyMongoError."""
    change: Document = {
        "touched_until": {"$cond": [{"$eq": [{"$type": "$touched_until"}, "missing"]}, "$end", "$touched_until"]},
        "end": end,
        "ended_by": {"$literal": by},
        "end_reason": {"$literal": reason},
        "ended_at": "$$NOW",
        "updated_at": "$$NOW",
        "changed": ObjectId(),
        **added(entry),
    }
    lasting = {"_id": correction_id, "begin": {"$lt": end}, "kind": {"$in": sorted(OF_SAMPLES)}, **ACTIVE}
    ended = collection.find_one_and_update(
        {**lasting, "$or": [{"end": None}, {"end": {"$gt": end}}]},
        [{"$set": change}],
        return_document=ReturnDocument.AFTER,
    )
    if ended is None:
        raise NotEndableError(f"correction {correction_id} does not last until {end.isoformat()}")
    return cast("CorrectionDocument", ended)


def revoke_group(collection: Collection[Document], group: ObjectId, by: str, reason: str) -> int:
    """Revoke what is in force of the corrections of a group; doing it again does no harm. Returns how many they were.

    Raises PyMongoError.
    """
    return collection.update_many({"group": group, **ACTIVE}, _revocation(by, reason)).modified_count


def _revocation(by: str, reason: str, entry: UnauditedEntry | None = None) -> list[Document]:
    change: Document = {
        "revoked_by": {"$literal": by},
        "revoke_reason": {"$literal": reason},
        "revoked_at": "$$NOW",
        "updated_at": "$$NOW",
        "changed": {"$cond": [{"$in": ["$kind", sorted(OF_SAMPLES)]}, ObjectId(), "$$REMOVE"]},
        **added(entry),
    }
    return [{"$set": change}]


def find_correction(
    collection: Collection[Document], device: str, correction_id: ObjectId
) -> CorrectionDocument | None:
    """A correction of a device, revoked or not; None if there is none. Raises PyMongoError."""
    return cast("CorrectionDocument | None", collection.find_one({"_id": correction_id, "device_id": device}))


def read_active(
    collection: Collection[Document],
    *,
    type: str,
    device_id: str | None = None,
    devices: Iterable[str] | None = None,
    field: str | None = None,
    kind: str | None = None,
    kinds: Iterable[str] | None = None,
    begin: datetime | None = None,
    end: datetime | None = None,
) -> list[CorrectionDocument]:
    """The corrections of a type that are in force and have to do with `[begin, end)`, in order of their begin.

    device_id, devices, field, kind, kinds: only of these. begin, end: None for no limit. Raises PyMongoError.
    """
    query: Document = {"type": type, **ACTIVE}
    for name, one, several in (("device_id", device_id, devices), ("field", field, None), ("kind", kind, kinds)):
        if one is not None:
            query[name] = one
        elif several is not None:
            query[name] = {"$in": sorted(several)}
    query |= overlapping(begin, end)
    found = cast("list[CorrectionDocument]", collection.find(query).to_list())
    return sorted(found, key=lambda correction: (correction["begin"], correction["_id"]))


def overlapping(begin: datetime | None, end: datetime | None) -> dict[str, Any]:
    """A filter: corrections that have a moment in common with `[begin, end)`. None for no limit."""
    query: dict[str, Any] = {}
    if end is not None:
        query["begin"] = {"$lt": end}
    if begin is not None:
        # None is below no time: a correction without an end is found by its null.
        query["$or"] = [{"end": None}, {"end": {"$gt": begin}}]
    return query
