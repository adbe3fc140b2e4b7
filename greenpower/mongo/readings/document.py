"""The shapes of stored readings, and of the fragments that wait for their device.

What belongs here: every key, its unit and its writer. What does not: writing (`greenpower.mongo.readings.store`,
`greenpower.mongo.readings.fragments`).
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId


class ReadingDocument(TypedDict):
    """A reading, in a type's base collection; unique on (device_id, timestamp). Written by ingest and by replay.

    timestamp: of the measurement. received_at: arrival of the first frame of it. updated_at: of the last write, for the
    changes feed; in rows that are only updated by the server's clock. payload: {field: number, in the field's unit}.
    complete: whether the device said that nothing more follows. clock: `arrival` where the timestamp is the time of
    arrival, since there was no stamp or a stuck one; `imported` where values of it came from a file; absent where the
    device told the time (`clock_mark`). API answers do not show it.
    """

    _id: ObjectId
    device_id: str
    topic: str
    timestamp: datetime
    received_at: datetime
    updated_at: datetime
    payload: dict[str, int | float]
    complete: bool
    clock: NotRequired[str]


class FragmentDocument(TypedDict):
    """A fragment in `reading_parts` whose device is not known yet. Written by ingest, deleted when it is stored.

    event: the `_id` of its event. key: of its sample, `type|topic|stamp`.
    """

    _id: ObjectId
    event: ObjectId
    key: str
    payload: dict[str, int | float]
    complete: bool
    received_at: datetime


class MessageDocument(TypedDict):
    """A message with an id and without a stamp, in `message_times`. Written by ingest once. _id: a hash of its type,
    device, id and values. timestamp: of its reading."""

    _id: str
    timestamp: datetime
    received_at: datetime


class SampleDeviceDocument(TypedDict):
    """The device of a sample, in `reading_parts`. Written by ingest once. _id: `type|topic|stamp`."""

    _id: str
    device_id: str
    received_at: datetime
