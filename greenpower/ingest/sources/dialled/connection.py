"""What every connection to a device that we dial has: frames on their way to the pipeline, and holding back.

What belongs here: the same for all protocols. What does not: Modbus (`modbus`), telegrams (`telegrams`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from greenpower.datatype import DataType
from greenpower.datatype.dialled import Dialled
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.ingest.sources.dialled.host import DialledHost

# Frames of one connection that are not stored yet. With as many, nothing more of it is read, until half are stored.
MAX_HELD_FRAMES = 64
RESUME_AT_HELD_FRAMES = MAX_HELD_FRAMES // 2

ClaimedDevices = Sequence[tuple[DataType, Dialled]]


class DialledConnection(TcpConnection):
    """One connection to a host, for one or several devices there."""

    def __init__(self, host: DialledHost, pipeline: Pipeline, devices: ClaimedDevices) -> None:
        super().__init__(host)
        self.host = host
        self.pipeline = pipeline
        self.devices = devices
        self._unsettled = 0

    def submit(
        self, number: int, payload: bytes, came: float, *, noted: str = "", rejected: str = "", detail: str = ""
    ) -> None:
        """Hand a frame of a device to the pipeline. came: when its last byte did, by the connection's clock."""
        datatype, claim = self.devices[number]
        arrival = Arrival(
            topic=claim.topic(datatype.name),
            payload=payload,
            received_at=datetime.now(UTC) - timedelta(seconds=self.clock.age(came)),
            source="dialled",
            device=claim.device or None,
            datatype=datatype,
            noted=noted,
            rejected=rejected,
            detail=detail,
        )
        done = self.pipeline.submit(arrival)
        self._unsettled += 1
        done.add_done_callback(self._settled)
        if self._unsettled >= MAX_HELD_FRAMES:
            self.hold()

    def _settled(self, _: asyncio.Future[None]) -> None:
        self._unsettled -= 1
        if self._unsettled <= RESUME_AT_HELD_FRAMES:
            self.resume()
