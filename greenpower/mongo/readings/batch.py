"""What a batch of frames became: one value, made once it is stored, that everything after it takes.

Events, metrics, presence, the bus and the problem log read it and derive nothing again, so they cannot disagree. What
does not belong here: how it is stored (`store`), who is told of it (`greenpower.ingest.pipeline`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from bson import ObjectId

from greenpower.mongo.client import Document
from greenpower.mongo.events.store import Outcome
from greenpower.mongo.readings.store import Fragment, MergedReading


class StoredFrame(NamedTuple):
    """A frame and what became of it. A tuple, since there is one for each frame.

    fragments: what it gave to readings. device_id: of the first of these, else the one it names. raw: what its event
    keeps of it. clock, offset: where its stamp was not taken as it is, `offset` or `stuck`, and what was added.
    key: with which it was pushed over HTTP. alive: whether it is a sign of life.
    """

    event_id: ObjectId
    type_name: str | None
    topic: str
    device_id: str | None
    received_at: datetime
    outcome: Outcome
    reason: str
    detail: str
    left_out: dict[str, str] | None
    fragments: Sequence[Fragment]
    clock: str
    offset: timedelta | None
    raw: Document
    key: ObjectId | None = None
    alive: bool = True

    @property
    def conflicts(self) -> Sequence[str]:
        """The keys that were stored before with another value."""
        if len(self.fragments) == 1:  # nearly all
            return self.fragments[0].conflicts
        return [name for fragment in self.fragments for name in fragment.conflicts]


class JoinedFragment(NamedTuple):
    """A fragment of an earlier frame that waited for its device, and is stored with this batch.

    event_id: of that frame's event, which is stored already; None where it is not known.
    """

    event_id: ObjectId | None
    topic: str
    fragment: Fragment
    clock: str
    offset: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """Frames that were stored together.

    frames: all of them, in order of arrival. readings: by type name, those that they gave something to, fragments that
    were joined included, in the order in which they are stored. joined: the fragments that had waited.
    """

    frames: Sequence[StoredFrame]
    readings: Mapping[str, Sequence[MergedReading]]
    joined: Sequence[JoinedFragment] = ()

    def fragments(self) -> Iterator[tuple[str, Fragment]]:
        """Every fragment with the name of its type, those that were joined included."""
        for name, readings in self.readings.items():
            for reading in readings:
                for fragment in reading.fragments:
                    yield name, fragment
