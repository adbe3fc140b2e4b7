"""The births that a batch of frames is read with, those in the batch included. In memory.

What belongs here: which births a frame has, as the frames are read in order. What does not: where they come from and
where they go (`greenpower.ingest.steps.sessions`, replay), and what they mean (`greenpower.datatype.session`).
"""

from __future__ import annotations

from collections.abc import Sequence

from greenpower.datatype import FrameError, Noted, Reading
from greenpower.datatype.session import BAD_SESSION, Birth, make_birth, with_birth
from greenpower.ingest.arrival import Arrival
from greenpower.mongo.devices.sessions import NO_BIRTHS, KnownSessions, NewBirth, SessionKey


class BirthBook:
    """known: what is stored of the devices of a batch. new: births that were read, by device, in order.

    again: whether all frames are read again, as in a replay: a birth that says something else now replaces what is
    known of it.
    """

    def __init__(self, known: dict[SessionKey, KnownSessions] | None = None, *, again: bool = False) -> None:
        self.known = known or {}
        self._again = again
        self.new: dict[SessionKey, list[NewBirth]] = {}
        self._births: dict[SessionKey, tuple[Birth, ...]] = {key: known.births for key, known in self.known.items()}

    def of(self, key: SessionKey) -> tuple[Birth, ...]:
        """The births of a device so far, in order."""
        return self._births.get(key, NO_BIRTHS.births)

    def add(self, key: SessionKey, new: NewBirth) -> None:
        """A birth was read: frames after it may be of it."""
        before = births = self.of(key)
        if self._again:
            births = tuple(one for one in before if one.born != new.birth.born or one.text == new.birth.text)
        births = with_birth(births, new.birth, again=new.again or self._again)
        if births != before:
            self._births[key] = births
            self.new.setdefault(key, []).append(new)


def read_births(arrival: Arrival, device: str | None, readings: Sequence[Reading]) -> list[NewBirth]:
    """The births in a frame of a device. Raises FrameError, where the core cannot keep what they say."""
    births = []
    for note in readings:
        if not isinstance(note, Noted) or note.session is None:
            continue
        if arrival.datatype is None or not arrival.datatype.sessions:
            raise FrameError(BAD_SESSION, "the data type declares no sessions")
        if device is None:
            raise FrameError("no-id", "a birth of no device")
        if arrival.retained and note.since is None:
            continue  # kept by the broker from an unknown time
        births.append(NewBirth(make_birth(note.session, note.since, arrival.received_at), arrival.dup))
    return births
