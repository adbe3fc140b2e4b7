"""A frame on its way through ingest, and the readings in it.

What belongs here: what the steps find out, until the batch is stored. What does not: what became of it
(`greenpower.mongo.readings.batch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from bson import ObjectId

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.store import Fragment, Number


@dataclass(slots=True, eq=False)
class FrameReading:
    """A reading in a frame, or a fragment of one, on its way to being stored.

    stamp: as the parser gave it. time: the timestamp that it was given, UTC. undated: whether that is the time of
    arrival. doubtful: whether a stamp might have been given another time, had the frame come earlier or later.
    clock: where the stamp was not taken as it is, why. offset: what was added to it then.
    message_id: as the parser gave it.
    waiting: the id under which it waits for its device in MongoDB. redelivered: whether it was stored before.
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
    waiting: ObjectId | None = None
    redelivered: bool = False
    message_id: str | None = None

    def fragment(self) -> Fragment:
        """It, as it is stored. Its device and its time must be known."""
        assert self.device_id is not None and self.time is not None
        frame = self.arrival
        return Fragment(
            self.device_id, frame.topic, self.time, frame.received_at, self.payload, self.complete, self.undated
        )


@dataclass(slots=True, eq=False, kw_only=True)
class Arrival:
    """A frame as it came, and what is found out about it.

    source: `mqtt`, `tcp`, `lines` or `http`. dup: whether the sender says that it may have come before. retained:
    whether the broker kept it from before we subscribed. device: the id for frames that name none, later the one that
    was found. datatype: given where the source knows it (a gateway's registration, the path of a push), else found by
    topic. key: with which it was pushed; allowed: the devices that it may be of then, None for all. gather: as of its
    claim. packet: the MQTT packet id. spooled: the file of the spool that has it, and its number there. times: of its
    readings, where a process that ended had decided them. raw: what its event keeps. fragments: what it gives to
    readings, once they are stored.
    rejected, noted, duplicate: the reason where the frame added nothing for that reason. left_out: {field: why}. alive:
    whether it is a sign of life. clock, offset: as of `FrameReading`. outcome, reason: what became of it, set when its
    batch is stored. event_id: of its event, where it was needed before that is made.
    """

    topic: str
    payload: bytes
    received_at: datetime
    source: str
    dup: bool = False
    retained: bool = False
    device: str | None = None
    datatype: DataType | None = None
    gather: float | None = None
    packet: int | None = None
    spooled: tuple[Path, int] | None = None
    times: tuple[datetime, ...] | None = None
    key: ObjectId | None = None
    allowed: Sequence[str] | None = None
    raw: Document | None = None
    fragments: list[Fragment] = field(default_factory=list)
    rejected: str = ""
    noted: str = ""
    duplicate: str = ""
    detail: str = ""
    alive: bool = True
    left_out: dict[str, str] | None = None
    outcome: str = ""
    reason: str = ""
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
