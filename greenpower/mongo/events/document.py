"""The shape of an event.

What belongs here: every key, its unit and its writer. What does not: making and writing events
(`greenpower.mongo.events.store`).
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId


class EventDocument(TypedDict):
    """A frame as it was received, in `telemetry_events`. Written once, by ingest, after its reading.

    type: name of the data type, None where no type claims the topic. outcome: `stored`, `duplicate`, `rejected` or
    `noted`; reason: why, of the last three. raw: the payload, as text or (`hex`) in hexadecimal; of an oversize one its
    beginning, with `size` in bytes and the `sha256` of the whole. timestamp: of the reading it went into, a list where
    there are several. clock: where the stamp was not taken as it is: `offset` (moved by offset_ms, milliseconds),
    `stuck` (it repeats: time of arrival) or `arrival` (no offset fits: time of arrival). left_out: {field: why it is
    not stored}. conflicts: fields that the reading had with another value. packet: the MQTT packet id, of values that
    are gathered. key: of a frame that was pushed over HTTP, with which.
    """

    _id: ObjectId
    type: str | None
    topic: str
    received_at: datetime
    outcome: str
    raw: str
    hex: NotRequired[bool]
    size: NotRequired[int]
    sha256: NotRequired[str]
    device_id: NotRequired[str]
    reason: NotRequired[str]
    detail: NotRequired[str]
    left_out: NotRequired[dict[str, str]]
    conflicts: NotRequired[list[str]]
    timestamp: NotRequired[datetime | list[datetime]]
    clock: NotRequired[str]
    offset_ms: NotRequired[int]
    packet: NotRequired[int]
    key: NotRequired[ObjectId]
