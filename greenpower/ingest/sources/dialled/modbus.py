"""A connection over which Modbus devices are asked by our clock.

What belongs here: handing bytes, time and frames between the socket, the rounds and the pipeline. What does not: any
byte of the protocol (`greenpower.framing`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from greenpower.datatype import DataType, FrameError
from greenpower.datatype.dialled import Dialled
from greenpower.framing.polled import polled_device
from greenpower.framing.rounds import Rounds
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.dialled.connection import ClaimedDevices, DialledConnection
from greenpower.ingest.sources.dialled.host import DialledHost

# A unit that does not answer is left alone for so long at most.
MAX_UNIT_PAUSE_SECONDS = 300.0


class ModbusConnection(DialledConnection):
    """One connection: a device, or a gateway with several behind it."""

    def __init__(self, host: DialledHost, pipeline: Pipeline, devices: ClaimedDevices) -> None:
        super().__init__(host, pipeline, devices)
        claims = [claim for _, claim in devices]
        self._rounds = Rounds(
            [polled_device(datatype.parse, claim) for datatype, claim in devices],
            timeout=max(claim.timeout for claim in claims),
            greatest_pause=MAX_UNIT_PAUSE_SECONDS,
            silence=max(claim.silence for claim in claims),
        )

    def opened(self) -> None:
        self._go(self._rounds.begin, self.clock.now())

    def received(self, data: bytes) -> None:
        self._go(self._rounds.receive, data, self.clock.now())

    def due(self) -> None:
        self._go(self._rounds.tick, self.clock.now())

    def ended(self) -> None:
        self._rounds.close()
        self._pass_on()

    def _go(self, step: Callable[..., None], *args: Any) -> None:
        """Call the rounds, and pass on what they have to say."""
        try:
            step(*args)
        except FrameError as error:
            self._pass_on()
            self.close(error.reason)
            return
        assert self.transport is not None
        if output := self._rounds.take_output():
            self.transport.write(output)
        self._pass_on()
        self.set_deadline(self._rounds.deadline)

    def _pass_on(self) -> None:
        now = self.clock.now()
        for number, reason, detail, data in self._rounds.take_device_notes():
            self.submit(number, data, now, noted=reason, detail=detail)
        for number, payload, came in self._rounds.take_rounds():
            self.host.works()
            self.submit(number, payload, came)


def check_claim(datatype: DataType, claim: Dialled) -> None:
    """Raises DeclarationError where a device cannot be asked."""
    polled_device(datatype.parse, claim)
