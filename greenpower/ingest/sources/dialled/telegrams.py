"""A connection to a device that sends telegrams unasked, such as the P1 port of a meter behind a serial server.

What belongs here: handing bytes, time and telegrams between the socket and the pipeline. What does not: where a
telegram starts and ends (`greenpower.framing.telegram`), what it says (its data type's parser).
"""

from __future__ import annotations

from greenpower.framing.telegram import TelegramFramer
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.dialled.connection import ClaimedDevices, DialledConnection
from greenpower.ingest.sources.dialled.host import DialledHost


class TelegramConnection(DialledConnection):
    """One connection. What comes on it is of the first device there: telegrams have one meaning only."""

    def __init__(self, host: DialledHost, pipeline: Pipeline, devices: ClaimedDevices) -> None:
        super().__init__(host, pipeline, devices)
        self._silence = devices[0][1].silence
        self._framer = TelegramFramer(pipeline.reader.max_frame_bytes)

    def opened(self) -> None:
        self._wait()

    def received(self, data: bytes) -> None:
        now = self.clock.now()
        for found in self._framer.receive(data):
            if found.fault:
                self.submit(0, found.data, now, noted=found.fault, detail=found.detail)
            else:
                self.host.works()
                self.submit(0, found.data, now)
                self._wait()

    def due(self) -> None:
        self.close("silent")

    def _wait(self) -> None:
        self.set_deadline(self.clock.now() + self._silence)
