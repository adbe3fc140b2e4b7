"""The shapes of what is kept of devices: clocks, signs of life, sessions, listening spans, settings, answers to
commands, keys for pushing.

What belongs here: every key, its unit and its writer. What does not: reading and writing them, in the modules beside
this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired, TypedDict

from bson import ObjectId

from greenpower.mongo.unaudited import UnauditedEntry


class ChoosingDocument(TypedDict):
    """Who decides on a device's stamps of a repeated hour. owner: an id of the batch. until: others go on then."""

    owner: ObjectId
    until: datetime


class ClockDocument(TypedDict):
    """A device's clock, in `device_clocks`. _id: the device's id. Written by ingest, and by replay.

    offset_ms: what is added to its stamps, in milliseconds; absent while the clock is right. offset_since: when it was
    set. earlier_ms: the offsets before, newest first. stuck: {type: the stamp that repeats}, in UTC. lag_ms: how long
    after its stamp a frame usually arrives. choosing: which batch decides on its stamps of a repeated hour.
    """

    _id: str
    updated_at: datetime
    offset_ms: NotRequired[int]
    offset_since: NotRequired[datetime]
    earlier_ms: NotRequired[list[int]]
    stuck: NotRequired[dict[str, datetime]]
    lag_ms: NotRequired[int]
    choosing: NotRequired[ChoosingDocument]


class SeenDocument(TypedDict):
    """A device and type that were heard, in `devices_seen`. _id: `type|device`. Written by ingest.

    last_heard: of any frame. last_reading: measured time of its newest reading. interval: seconds between its newest
    readings. status: `online` or `offline` since status_since, written by ingest and the presence job; status_by tells
    their writes apart. fields: {declared field: measured time of its newest value}, of types whose values come one by
    one.
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
    fields: NotRequired[dict[str, datetime]]


class BirthDocument(TypedDict):
    """A birth in `device_sessions`, as in `greenpower.datatype.session.Birth`. text: the place of its session."""

    born: datetime
    arrived: datetime
    by_arrival: bool
    text: int


class SessionsDocument(TypedDict):
    """What later frames of a device mean, in `device_sessions`. _id: `type|device`. Written by ingest.

    births: in the order of the device's clock, MAX_BIRTHS_PER_DEVICE at most. texts: what they say, as JSON, each once,
    MAX_SESSIONS_PER_DEVICE at most. revision: counts the writes.
    """

    _id: str
    type: str
    device_id: str
    revision: int
    births: list[BirthDocument]
    texts: list[str]
    updated_at: datetime


class ListeningDocument(TypedDict):
    """A span of time in which an ingest process listened to sources, in `ingest_watch`. Written by that process."""

    _id: ObjectId
    process: str
    sources: list[str]
    since: datetime
    until: datetime


class DeviceSettingsDocument(TypedDict):
    """What the registry says of a device, in `device_settings`. _id: the device's id. Written by API and worker.

    confirmed: whether it is; False for one that was only heard, or deleted. interval_seconds: what its operator expects
    between readings. greatest_power: in kW (kvar, kVA). power_changed, timezone_changed: tokens that are there from a
    change of that setting until the hours it touches are invalidated. updated_at: the registry's, which orders writes.
    written_at: the server's, by which readers find what is new.
    """

    _id: str
    registered: bool
    confirmed: NotRequired[bool]
    timezone: str | None
    interval_seconds: int | None
    greatest_power: float | None
    power_changed: NotRequired[ObjectId]
    timezone_changed: NotRequired[ObjectId]
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


class PushKeyDocument(TypedDict):
    """A key with which frames are pushed over HTTP, in `push_keys`. Written by the API and the console; `last_used_at`
    by ingest, to the minute.

    secret_hash: SHA-256 of the secret, in hexadecimal. claims: names of the claims that it is for; devices: ids that
    its frames may name; empty for all. unaudited: entries of the audit that are still to be written.
    """

    _id: ObjectId
    name: str
    secret_hash: str
    claims: list[str]
    devices: list[str]
    made_by: str
    made_at: datetime
    expires_at: NotRequired[datetime]
    revoked_at: NotRequired[datetime]
    revoked_by: NotRequired[str]
    last_used_at: NotRequired[datetime]
    unaudited: NotRequired[list[UnauditedEntry]]
