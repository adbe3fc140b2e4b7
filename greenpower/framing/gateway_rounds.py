"""Rounds by our clock for a gateway that connects to us and registers: it is asked whether or not it sends heartbeats.

What belongs here: the registration. What does not: the questions (`rounds`), one question per heartbeat (`dialogue`).
It implements `greenpower.datatype.Dialogue`.
"""

from __future__ import annotations

from collections.abc import Sequence

from greenpower.datatype import Tcp
from greenpower.framing.modbus import ReadRequest
from greenpower.framing.registration import identify
from greenpower.framing.rounds import PolledDevice, Rounds


class GatewayRounds(Rounds):
    """The dialogue of one connection: one device, the gateway, with all units behind it."""

    def __init__(
        self,
        claim: Tcp,
        requests: Sequence[ReadRequest],
        *,
        every: float,
        timeout: float,
        greatest_pause: float,
        silence: float,
    ) -> None:
        super().__init__(
            [PolledDevice(requests=tuple(requests), every=every)],
            timeout=timeout,
            greatest_pause=greatest_pause,
            silence=silence,
            registration=claim.registration,
            heartbeat=claim.heartbeat,
        )
        self._claim = claim
        self._start_of_stream = b""

    @property
    def device_id(self) -> str | None:
        """The gateway's id; None before it registered."""
        return self.identity

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes of the stream. Raises FrameError: not-registered, other-gateway, noise."""
        if self.identity is None:
            data = self._start_of_stream + data
            found = identify(data, (self._claim,))
            if found is None:
                self._start_of_stream = data
                return
            self._start_of_stream = b""
            self.identity = found[1]
            self.begin(now)
        super().receive(data, now)

    def take_frames(self) -> list[tuple[bytes, float]]:
        """The rounds that ended with an answer at least, each once: (its answers, when the last of them came)."""
        return [(payload, at) for _, payload, at in self.take_rounds()]

    def take_notes(self) -> list[tuple[str, str, bytes]]:
        """What was heard and is no reading, each once: (reason, detail, bytes)."""
        return [(reason, detail, data) for _, reason, detail, data in self.take_device_notes()]
