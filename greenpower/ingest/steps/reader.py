"""From a frame to what it says: claim, parser, checks. Pure but for what it writes into the arrival."""

from __future__ import annotations

import logging

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Frame, FrameError
from greenpower.datatype.check import Checker
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.problem_log import fields
from greenpower.mongo.events.store import raw_document

log = logging.getLogger(__name__)


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

    def read(self, arrival: Arrival) -> list[FrameReading]:
        """The readings in a frame, times not yet settled. A frame that has none is marked with the reason."""
        if arrival.noted:
            return []
        noted = ""
        if arrival.datatype is None:
            match = self.registry.match_topic(arrival.topic)
            if match is None:
                arrival.rejected = arrival.rejected or "unclaimed-topic"
                return []
            arrival.datatype, claim = match
            arrival.device = claim.device
            noted = claim.noted
        if arrival.rejected:
            return []
        try:
            return self._parse(arrival, arrival.datatype, noted)
        except FrameError as error:
            arrival.rejected, arrival.detail = error.reason, error.detail
        except Exception as error:  # a parser is foreign code: its fault costs this frame, not the others
            log.exception("the parser of %s failed", arrival.datatype.name, extra=fields(arrival.id))
            arrival.rejected, arrival.detail = "parser-failed", f"{type(error).__name__}: {error}"[:200]
        if noted:
            arrival.noted, arrival.rejected = noted, ""
        return []

    def _parse(self, arrival: Arrival, datatype: DataType, noted: str) -> list[FrameReading]:
        frame = Frame(
            topic=arrival.topic, payload=arrival.payload, device=arrival.device, received_at=arrival.received_at
        )
        readings = datatype.parse(frame)
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
            found.append(FrameReading(arrival, reading.device_id, reading.stamp, payload, reading.complete))
        if failed is not None:
            if not found:
                raise failed
            arrival.detail = f"{len(readings) - len(found)} of {len(readings)} readings left out: {failed.reason}"
        return found
