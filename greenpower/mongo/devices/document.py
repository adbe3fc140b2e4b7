"""The shapes of what is kept of devices: clocks, signs of life, listening spans, settings, answers to commands.

What belongs here: every key, its unit and its writer. What does not: reading and writing them, in the modules beside
this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId


class ClockDocument(TypedDict):
    """A device's clock, in `device_clocks`. _id: the device's id. Written by ingest, and by replay.

    offset_ms: what is added to its stamps, in milliseconds; absent while the clock is right. offset_since: when it was
    set. earlier_ms: the offsets before, newest first. stuck: {type: the stamp that repeats}, in UTC. lag_ms: how long
    after its stamp a frame usually arrives.
    """

    _id: str
    updated_at: datetime
    offset_ms: NotRequired[int]
    offset_since: NotRequired[datetime]
    earlier_ms: NotRequired[list[int]]
    stuck: NotRequired[dict[str, datetime]]
    lag_ms: NotRequired[int]


class SeenDocument(TypedDict):
    """A device and type that were heard, in `devices_seen`. _id: `type|device`. Written by ingest.

    last_heard: of any frame. last_reading: measured time of its newest reading. interval: seconds between its newest
    readings. status: `online` or `offline` since status_since, written by ingest and the presence job; status_by tells
    their writes apart.
    """

    _id: str
    type: str
    device_id: str
    first_seen: datetime
    last_heard: datetime
    last_reading: NotRequired[datetime]
    interval: NotRequired[float]
    status: NotRequired[str]
    status_since: NotRequired[datetime]
    status_by: NotRequired[str]


class ListeningDocument(TypedDict):
    """A span of time in which an ingest process listened to sources, in `ingest_watch`. Written by that process."""

    _id: ObjectId
    process: str
    sources: list[str]
    since: datetime
    until: datetime


class DeviceSettingsDocument(TypedDict):
    """What the registry says of a device, in `device_settings`. _id: the device's id. Written by API and worker.

    interval_seconds: what its operator expects between readings. updated_at: the registry's, which orders writes.
    written_at: the server's, by which readers find what is new.
    """

    _id: str
    registered: bool
    timezone: str | None
    interval_seconds: int | None
    zone_id: int | None
    updated_at: datetime
    written_at: datetime


class AnswerDocument(TypedDict):
    """A device's answer to a command, in `command_answers`. _id: `operation|device`. Written by ingest once.

    values: [[key, text]], in the order sent. taken: set by the worker that wrote down what the answer says.
    """

    _id: str
    type: str
    topic: str
    device_id: str
    operation: str
    ok: bool
    values: list[list[str]]
    detail: str
    received_at: datetime
    taken: bool
