"""The shapes of what the rollups keep: buckets and copies, progress, marks, attempts, fields and incidents.

What belongs here: every key, its unit and its writer. What does not: reading and writing them, in the modules beside
this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict

from bson import ObjectId

from greenpower.mongo.readings.document import ReadingDocument


class CoverageDocument(TypedDict):
    """The readings of a bucket: how many, and the times of the first and the last."""

    count: int
    first: datetime
    last: datetime


class BucketDocument(TypedDict):
    """One device and window, in a tier's collection; unique on (device_id, timestamp). Written by the worker.

    timestamp: the window's start. payload: {field: the number that stands for it, in its unit}. stats: {field: state},
    its keys by kind in `greenpower.measure`. final: False while readings may still change it in the ordinary way.
    as_of: of the run; the later one stays.
    """

    _id: ObjectId
    device_id: str
    timestamp: datetime
    payload: dict[str, int | float]
    stats: dict[str, dict[str, Any]]
    coverage: CoverageDocument
    final: bool
    as_of: datetime
    updated_at: datetime


class CopyDocument(ReadingDocument):
    """A copy of a reading, in a tier without windows. Written by the worker. as_of: as of a bucket."""

    as_of: datetime


class WatermarkDocument(TypedDict):
    """The progress of a tier, or of a base collection (its prefix is empty), in `rollup_watermarks`. _id:
    `type/prefix`. Written by the worker.

    watermark: windows that end then or before are done. complete_from: nothing later has expired. left_alone: windows
    that could not be computed from anything whole, so far. ran_at: end of the last run; error: its error, or empty;
    error_at: of the last one that failed.
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

    devices: None for all. contested: a newer attempt overlaps it. done: its results are written. at: when it began.
    """

    _id: ObjectId
    type: str
    prefix: str
    as_of: datetime
    begin: datetime
    end: datetime
    devices: list[str] | None
    contested: bool
    done: bool
    at: datetime


class IncidentDocument(TypedDict):
    """What happened to a counter, in `counter_incidents`; unique on (type, device_id, field, at, swap).

    Written by the worker (swap is False), and by the API: meter swaps (swap is True), decisions (decided_by,
    decided_at). incident: its kind. value, before, before_at: the sample at `at` and the one before it. correction:
    what it adds to the energy, in the field's unit; None where it is left out. last, first: registers of the old and
    the new meter. status: `noted`, `open`, `confirmed` or `rejected`. current: False when later readings disproved it.
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
    as_of: NotRequired[datetime]
    last: NotRequired[int | float]
    first: NotRequired[int | float]
    decided_by: NotRequired[str]
    decided_at: NotRequired[datetime]
