"""What corrections of samples touch: those hours are computed again, through all tiers and the ledger.

The write that makes or revokes one leaves a token in its document (`changed`); it is removed when all hours are
invalidated, unless the correction has changed again meanwhile. So an invalidation that was cut short is finished by the
next call, in whichever process. What belongs here: which hours these are. What does not: invalidating hours
(`greenpower.mongo.rollups.hours`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.catalog.facts import counters
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.measure.counter.changes import CHANGES_AROUND, LOOK_SAMPLES
from greenpower.measure.counter.rules import Incident
from greenpower.measure.counter.silence import USUAL_GAPS
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.hours import first_window_tier, invalidate_hours
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.source import neighbours
from greenpower.mongo.rollups.tier_view import read_tier_views
from greenpower.mongo.schema.layout import CORRECTIONS, INCIDENTS, INVALIDATIONS

ONE_HOUR = timedelta(hours=1)


def invalidate_changed_corrections(
    db: Database[Document],
    datatypes: Iterable[DataType],
    settings: Settings,
    ids: Sequence[ObjectId] | None = None,
) -> int:
    """Invalidate what corrections touch that were made or revoked. ids: only of these; None for all. Returns how many
    are done. Raises PyMongoError; the next call does the rest."""
    query: Document = {"changed": {"$type": "objectId"}}
    if ids is not None:
        query["_id"] = {"$in": list(ids)}
    known = {datatype.name: datatype for datatype in datatypes}
    done = 0
    for document in db[CORRECTIONS].find(query).to_list():
        # Of a type that is not in force nothing is computed: the token waits.
        if (datatype := known.get(document["type"])) is not None:
            _invalidate(db, datatype, settings, document)
            same = {"_id": document["_id"], "changed": document["changed"]}
            db[CORRECTIONS].update_one(same, {"$unset": {"changed": "", "touched_until": ""}})
            done += 1
    return done


def _invalidate(db: Database[Document], datatype: DataType, settings: Settings, correction: Mapping[str, Any]) -> None:
    device, begin = correction["device_id"], correction["begin"]
    end = correction.get("touched_until", correction["end"])
    readings = db[read_tier_views(db, datatype, settings)[0].collection]
    is_counter = correction["field"] in counters(datatype)
    since, until = _around(readings, device, correction["field"], begin, end, is_counter=is_counter)
    near: Document = {"type": datatype.name, "device_id": device, "field": correction["field"], "current": True}
    # A fall or a change of unit lasts: from where it began, other samples may say something else of it now.
    still = {"until": None, "incident": {"$in": [Incident.FALL.value, Incident.UNIT_CHANGE.value]}}
    lasting = {"at": {"$lt": begin}, "$or": [{"until": {"$gte": since}}, still]}
    if (first := db[INCIDENTS].find_one({**near, **lasting}, {"at": 1}, sort=[("at", 1)])) is not None:
        since = min(since, first["at"])
    invalidate_hours(db, datatype, settings, device, since, until)
    now = datetime.now(UTC)
    prefix = first_window_tier(datatype)
    if prefix is not None and (end is None or end > now - ONE_HOUR):
        # A run that does not know of it yet may be computing what has just come.
        times = (now, now + ONE_HOUR)
        invalidate(db[INVALIDATIONS], [Place.of(datatype.name, prefix, device, time) for time in times])


def _around(
    readings: Collection[Document], device: str, field: str, begin: datetime, end: datetime | None, *, is_counter: bool
) -> tuple[datetime, datetime | None]:
    """The first and the last time at which samples in `[begin, end)` tell what others are; None for all that follow.

    Of a counter they are among the changes by which steps around are judged. Of anything else, a value holds until the
    next, for a time that depends on the gaps between readings before it.
    """
    since, until = begin, end
    if is_counter:
        before = neighbours(readings, device, begin, LOOK_SAMPLES, before=True, fields=(field,), having=field)
        since = min(since, _last_change(before[::-1], field, begin))
    if end is not None:
        after = neighbours(readings, device, end, USUAL_GAPS + 1, before=False, fields=(field,))
        until = max([end, *(reading["timestamp"] for reading in after)])
        if is_counter:
            later = neighbours(readings, device, end, LOOK_SAMPLES, before=False, fields=(field,), having=field)
            until = max(until, _last_change(later, field, end))
    return since, until


def _last_change(samples: Sequence[Document], field: str, time: datetime) -> datetime:
    """The time of the last of the samples, going away from `time`, that is among the changes by which it is judged."""
    changes, last = 0, time
    for sample, following in pairwise(samples):
        last = following["timestamp"]
        changes += sample["payload"][field] != following["payload"][field]
        if changes > CHANGES_AROUND:
            break
    return last
