"""The shapes of what the rollups keep: buckets and copies, progress, marks, attempts, fields and incidents.

What belongs here: every key, its unit and its writer. What does not: reading and writing them, in the modules beside
this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId

from greenpower.mongo.energy.document import HoldDocument
from greenpower.mongo.readings.document import ReadingDocument
from greenpower.mongo.unaudited import UnauditedEntry


class CoverageDocument(TypedDict):
    """The readings of a bucket: how many, and the times of the first and the last.

    seconds: how much of the window their values hold. held: how much between first and last; hold: how long the last
    one holds if none follows; lead_until: until when the reading before holds. All in seconds, and absent where a
    bucket from before means were over time is part of it (`greenpower.measure.stored_block`).
    """

    count: int
    first: datetime
    last: datetime
    seconds: NotRequired[float]
    held: NotRequired[float]
    hold: NotRequired[float]
    lead_until: NotRequired[datetime]


class BlockDocument(TypedDict):
    """Gauges, or angles, of a bucket whose samples have the same times (`greenpower.measure.stored_block`).

    fields: their names, with a space between. data: their numbers, packed; a list where that would not be exact. kind:
    of other fields than gauges. timing: of their samples, where it is not that of the bucket's readings.
    """

    fields: str
    data: bytes | list[int | float]
    kind: NotRequired[str]
    timing: NotRequired[CoverageDocument]


class BucketDocument(TypedDict):
    """One device and window, in a tier's collection; unique on (device_id, timestamp). Written by the worker.

    timestamp: the window's start. payload: {field: the number that stands for it, in its unit}. stats: {field: state},
    its keys by kind in `greenpower.measure`; of gauges and angles only in buckets of old versions. blocks: the gauges
    and angles; absent in those. final: False while readings may still change it in the ordinary way.
    as_of: of the run; the later one stays. holds: {counter: the fall that is open at its end}, only where there is one.
    """

    _id: ObjectId
    device_id: str
    timestamp: datetime
    payload: dict[str, int | float]
    stats: dict[str, dict[str, Any]]
    blocks: NotRequired[list[BlockDocument]]
    holds: NotRequired[dict[str, HoldDocument]]
    coverage: CoverageDocument
    final: bool
    as_of: datetime
    updated_at: datetime


class CopyDocument(ReadingDocument):
    """A copy of a reading, in a tier without windows. Written by the worker. as_of: as of a bucket."""

    as_of: datetime


class RangeProgressDocument(TypedDict):
    """What differs of a device range from its tier, in `WatermarkDocument`. Written by the worker.

    watermark: windows of its devices that end then or before are done, if later than that of the tier. ran_at, error:
    of the last run that took it apart from others. round: in which several workers shared the tier, the last one.
    """

    watermark: NotRequired[datetime]
    ran_at: NotRequired[datetime]
    error: NotRequired[str]
    round: NotRequired[str]


class WatermarkDocument(TypedDict):
    """The progress of a tier, or of a base collection (its prefix is empty), in `rollup_watermarks`. _id:
    `type/prefix`. Written by the worker.

    watermark: windows that end then or before are done, of all device ranges. ranges: by hexadecimal digit those that
    went on by themselves. complete_from: nothing later has expired. left_alone: windows that could not be computed from
    anything whole, so far. ran_at: end of the last run; error: its error, or empty; error_at: of the last one that
    failed. round: in which several workers share the tier, the last one that began.
    """

    _id: str
    type: str
    prefix: str
    watermark: NotRequired[datetime]
    complete_from: NotRequired[datetime]
    left_alone: NotRequired[int]
    ran_at: NotRequired[datetime]
    error: NotRequired[str]
    error_at: NotRequired[datetime]
    ranges: NotRequired[dict[str, RangeProgressDocument]]
    round: NotRequired[str]


class AsOfDocument(TypedDict):
    """The clock that orders results, in `rollup_watermarks`. _id: `clock`. now: the last time that was given out."""

    _id: str
    now: datetime


class InvalidationDocument(TypedDict):
    """An hour of a device that a tier computes again, in `rollup_marks`. _id: `type/prefix/hour/device`. Written by
    ingest, API and worker; deleted by the worker.

    count: how often it was set. token: changes each time. since: when it was first set.
    """

    _id: str
    type: str
    prefix: str
    device_id: str
    hour: datetime
    count: int
    token: ObjectId
    since: datetime
    updated_at: datetime


class UnfinishedDocument(TypedDict):
    """A span of a type with work under way, in `rollup_marks`. _id: `type//` and a key; prefix: empty. Written by who
    does it; shortened and deleted by the worker, too, where that is gone.

    devices: None for all. work: what it is, see `greenpower.mongo.rollups.unfinished`. token: changes each time.
    """

    _id: str
    type: str
    prefix: str
    devices: list[str] | None
    begin: datetime
    end: datetime
    work: str
    token: ObjectId
    since: datetime
    updated_at: datetime


class InvalidationReadDocument(TypedDict):
    """The last reading of a tier's marks, in `rollup_mark_reads`. _id: `type/prefix`. Written by the worker."""

    _id: str
    token: ObjectId


class FieldKindsDocument(TypedDict):
    """The fields of a type, in `rollup_fields`. _id: the type. Written by the worker.

    kinds: {declared field: kind of its buckets}. open: undeclared fields that are rolled up. noted: those that are not.
    """

    _id: str
    kinds: NotRequired[dict[str, str]]
    open: NotRequired[list[str]]
    noted: NotRequired[list[str]]


class DeviceFieldsDocument(TypedDict):
    """The undeclared fields of a device, in `rollup_fields`. _id: `type/device`. Written by the worker."""

    _id: str
    fields: NotRequired[list[str]]
    noted: NotRequired[list[str]]


class AttemptDocument(TypedDict):
    """Results that are under way, in `rollup_attempts`. Written and deleted by the worker.

    devices: None for all of its ranges. ranges: numbers of device ranges, None for all. contested: a newer attempt
    overlaps it. done: its results are written. at: when it began.
    """

    _id: ObjectId
    type: str
    prefix: str
    as_of: datetime
    begin: datetime
    end: datetime
    devices: list[str] | None
    ranges: NotRequired[list[int] | None]
    contested: bool
    done: bool
    at: datetime


class EarlierExchange(TypedDict):
    """An exchange as it was before it was moved to another time."""

    at: datetime
    reason: str
    made_by: str
    made_at: datetime


class ExchangeDocument(TypedDict):
    """A meter that was replaced, in `meter_exchanges`; at most one of a device and time that is not revoked.

    Written by the API and the console, and by the worker (applied). new_device_id: None where the new meter sends the
    id of the old one. readings: {type: {counter: {last, first}}}, the registers of the old and the new meter; None
    where nobody read them. took: what the new device took over from the old one, by column of the registry. applied:
    whether all that follows from it is written; since: from when on what it touches has to be computed again, where it
    was moved. earlier: what it was before it was moved. unaudited: entries of the audit that are still to be written.
    """

    _id: ObjectId
    device_id: str
    new_device_id: str | None
    at: datetime
    readings: dict[str, dict[str, dict[str, int | float | None]]]
    took: dict[str, Any]
    reason: str
    made_by: str
    made_at: datetime
    applied: bool
    revoked_at: datetime | None
    updated_at: datetime
    since: NotRequired[datetime]
    earlier: NotRequired[list[EarlierExchange]]
    revoked_by: NotRequired[str]
    revoke_reason: NotRequired[str]
    unaudited: NotRequired[list[UnauditedEntry]]


class TouchedDocument(TypedDict):
    """A stretch that a changed incident touches. end: None for up to the newest reading."""

    begin: datetime
    end: datetime | None


class IncidentDocument(TypedDict):
    """What happened to a counter, in `counter_incidents`; unique on (type, device_id, field, at, swap).

    Written by the worker (swap is False), and by the API: meter swaps (swap is True), decisions (decided_by,
    decided_at, reason: of the last one). incident: its kind. value, before, before_at: the sample at `at` and the one
    before it. correction: what it adds to the energy, in the field's unit; None where it is left out. last, first:
    registers of the old and the new meter, None for those next to the swap. exchange_id: of the meter exchange that it
    is a part of (`meter_exchanges`). status: `noted`, `open`, `confirmed` or `rejected`. current: False when
    later readings disproved it, and of a swap that was withdrawn. changed, touched: while what a decision touches is
    not all invalidated yet; changed is another with each decision. unaudited: entries of the audit that are still to be
    written.
    """

    _id: ObjectId
    type: str
    device_id: str
    field: str
    at: datetime
    swap: bool
    incident: str
    status: str
    current: bool
    found_at: datetime
    updated_at: datetime
    value: NotRequired[int | float]
    before: NotRequired[int | float]
    before_at: NotRequired[datetime]
    correction: NotRequired[float | None]
    settled: NotRequired[bool]
    until: NotRequired[datetime | None]
    as_of: NotRequired[datetime]
    last: NotRequired[int | float | None]
    first: NotRequired[int | float | None]
    exchange_id: NotRequired[ObjectId]
    decided_by: NotRequired[str]
    decided_at: NotRequired[datetime]
    reason: NotRequired[str]
    changed: NotRequired[ObjectId]
    touched: NotRequired[list[TouchedDocument]]
    unaudited: NotRequired[list[UnauditedEntry]]
