"""One frame on its way through ingest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bson import ObjectId

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.store import Number, Part


@dataclass(slots=True, eq=False)
class Found:
    """A reading in a frame before its time is settled.

    stamp: as the parser gave it. time: the settled timestamp, UTC. undated: whether that is the time of arrival.
    doubtful: whether a stamp might have been given another time, had the frame come earlier or later.
    clock: `offset` or `stuck` where the stamp was not taken as it is. offset: what was added to it then.
    """

    arrival: Arrival
    device_id: str | None
    stamp: datetime | None
    payload: dict[str, Number]
    complete: bool
    time: datetime | None = None
    undated: bool = False
    doubtful: bool = False
    clock: str = ""
    offset: timedelta | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class Arrival:
    """A frame as it came, and what is found out about it.

    source: `mqtt`, `tcp` or `lines`. dup: whether the sender says that it may have come before. retained: whether the
    broker kept it from before we asked. device: the id for frames that name none, later the one that was found.
    datatype: given where the source knows it (a gateway's registration), else found by topic. raw: what its event
    keeps. rejected, noted, duplicate: the reason where the frame added nothing for that reason. left_out: {field: why}.
    outcome, reason: set when it is settled. times: of its readings that are
    not stored yet. clock, offset: as of `Found`. event_id: of its event, where it had to be known before that is made.
    """

    topic: str
    payload: bytes
    received_at: datetime
    source: str
    dup: bool = False
    retained: bool = False
    device: str | None = None
    datatype: DataType | None = None
    raw: Document | None = None
    parts: list[Part] = field(default_factory=list)
    rejected: str = ""
    noted: str = ""
    duplicate: str = ""
    detail: str = ""
    left_out: dict[str, str] | None = None
    outcome: str = ""
    reason: str = ""
    times: tuple[datetime, ...] = ()
    clock: str = ""
    offset: timedelta | None = None
    event_id: ObjectId | None = None

    @property
    def id(self) -> ObjectId:
        """The id that its event has or will have."""
        if self.event_id is None:
            self.event_id = new_id()
        return self.event_id

    @property
    def type_name(self) -> str | None:
        """The name of its data type, None where none claims it."""
        return None if self.datatype is None else self.datatype.name
