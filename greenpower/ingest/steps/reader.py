"""From a frame to what it says: claim, parser, checks. Pure but for what it writes into the arrival."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Frame, FrameError, Noted, Reading
from greenpower.datatype.check import Checker
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.birth_book import BirthBook, read_births
from greenpower.ingest.steps.problem_log import fields
from greenpower.mongo.devices.sessions import SessionKey
from greenpower.mongo.events.store import raw_document

#: why a frame is rejected that names a device for which its sender has no key
FOREIGN_DEVICE = "foreign-device"

log = logging.getLogger(__name__)

UNCLAIMED = "unclaimed-topic"
CLAIMED_TWICE = "claimed-twice"
MAX_DETAIL_CHARACTERS = 200
NO_LEVELS: Mapping[str, str] = {}


class Reader:
    """Reads frames with the parsers of a registry. One per process: it compiles each type's checks once."""

    def __init__(self, registry: Registry, max_frame_bytes: int) -> None:
        self.registry = registry
        self.max_frame_bytes = max_frame_bytes
        self._checkers = {datatype.name: Checker(datatype) for datatype in registry}

    def shorten(self, arrival: Arrival) -> None:
        """Keep the beginning only of a frame that is too long, as soon as it came."""
        if len(arrival.payload) > self.max_frame_bytes:
            arrival.rejected = "too-large"
            arrival.detail = f"{len(arrival.payload)} bytes"
            arrival.raw = raw_document(arrival.payload, self.max_frame_bytes)
            arrival.payload = b""

    def read(self, arrival: Arrival, book: BirthBook | None = None) -> list[FrameReading]:
        """The readings in a frame, times not yet settled. A frame that has none is marked with the reason.

        book: the births of its device, and where those that it has go.
        """
        if arrival.noted:
            return []
        noted, levels = "", NO_LEVELS
        if arrival.datatype is None:
            match = self.registry.match_topic(arrival.topic)
            if match is None:
                self._reject_unclaimed(arrival)
                return []
            arrival.datatype, claim, levels = match
            arrival.device, arrival.gather, noted = claim.device, claim.gather, claim.noted
        if arrival.rejected:
            return []
        try:
            return self._parse(arrival, arrival.datatype, noted, levels, book)
        except FrameError as error:
            arrival.rejected, arrival.detail = error.reason, error.detail
        except Exception as error:  # a parser is foreign code: its fault costs this frame, not the others
            log.exception("the parser of %s failed", arrival.datatype.name, extra=fields(arrival.id))
            arrival.rejected, arrival.detail = "parser-failed", f"{type(error).__name__}: {error}"[:200]
        if noted:
            arrival.noted, arrival.rejected = noted, ""
        return []

    def _reject_unclaimed(self, arrival: Arrival) -> None:
        stopped = self.registry.stopped_at(arrival.topic)
        if stopped is not None and not arrival.rejected:
            arrival.rejected, arrival.detail = CLAIMED_TWICE, stopped.why[:MAX_DETAIL_CHARACTERS]
        arrival.rejected = arrival.rejected or UNCLAIMED

    def _parse(
        self, arrival: Arrival, datatype: DataType, noted: str, levels: Mapping[str, str], book: BirthBook | None
    ) -> list[FrameReading]:
        frame = Frame(
            topic=arrival.topic, payload=arrival.payload, device=arrival.device, received_at=arrival.received_at,
            levels=levels,
        )  # fmt: skip
        key = None
        if book is not None and datatype.sessions and arrival.device is not None:
            key = SessionKey(datatype.name, arrival.device)
            frame.births = book.of(key)
        readings = datatype.parse(frame)
        if arrival.allowed is not None:
            _check_devices(arrival, arrival.allowed, readings)
        notes: list[str] = []
        begins_session = False
        if readings:
            notes = [reading.reason for reading in readings if isinstance(reading, Noted)]
            if notes:
                births = read_births(arrival, arrival.device, readings)
                begins_session = bool(births)
                if book is not None and key is not None:
                    for birth in births:
                        book.add(key, birth)
                arrival.alive = all(reading.alive for reading in readings if isinstance(reading, Noted))
                arrival.device = readings[0].device_id or arrival.device
                readings = tuple(reading for reading in readings if not isinstance(reading, Noted))
                noted = noted or ("" if readings else notes[0])
                arrival.detail = "; ".join(dict.fromkeys(notes))[:200] if readings else ""
        if readings:
            arrival.device = readings[0].device_id or arrival.device
        if noted:
            arrival.noted = noted
            return []
        if not readings:
            raise FrameError("no-values", "the parser found no reading")
        if arrival.retained and any(reading.stamp is None for reading in readings):
            # Kept by the broker from an unknown time: storing it as of now would make an old value look fresh.
            arrival.noted = "retained"
            return []
        check = self._checkers[datatype.name].check
        found = []
        failed: FrameError | None = None
        for reading in readings:
            if not reading.values and datatype.id_in_one_part and reading.device_id is not None:
                found.append(FrameReading(arrival, reading.device_id, reading.stamp, {}, False))
                continue
            try:
                payload, left_out = check(reading.values)
            except FrameError as error:
                failed = error
                continue
            if left_out:
                arrival.left_out = {**(arrival.left_out or {}), **left_out}
            item = FrameReading(arrival, reading.device_id, reading.stamp, payload, reading.complete)
            item.message_id = reading.message_id
            found.append(item)
        if failed is not None:
            if not found and begins_session:
                arrival.noted, arrival.detail = notes[0], f"{failed.reason}: {failed.detail}"[:MAX_DETAIL_CHARACTERS]
                return []
            if not found:
                raise failed
            arrival.detail = f"{len(readings) - len(found)} of {len(readings)} readings left out: {failed.reason}"
        return found


def _check_devices(arrival: Arrival, allowed: Sequence[str], readings: Sequence[Reading]) -> None:
    """Raise FrameError if any reading is of a device that the sender may not send for. All of the frame is rejected
    then, and it counts for none of the devices that it names."""
    for reading in readings:
        nothing = isinstance(reading, Noted) and reading.device_id is None
        if reading.device_id not in allowed and not nothing:
            arrival.device = None
            raise FrameError(FOREIGN_DEVICE, f"the key is not for {reading.device_id!a}"[:80])
