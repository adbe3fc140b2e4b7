"""The connection of a simulated gateway to the server: heartbeats, answers; dialled again when it ends.

What does not belong here: what is answered (`gateway`, `delivery`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random, uniform

from greenpower.simulator.delivery import deliver
from greenpower.simulator.gateway import Requests, SimulatedGateway

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10
MAX_RECONNECT_SECONDS = 30.0
READ_BYTES = 4096


@dataclass(slots=True, kw_only=True)
class Dialler:
    """One gateway's connections. heartbeat_seconds: between heartbeats. on_round: called when a round was answered."""

    gateway: SimulatedGateway
    host: str
    port: int
    heartbeat_seconds: float
    on_round: Callable[[], None]
    faults: Set[str] = frozenset()
    seed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    connected: bool = False
    _random: Random = field(init=False)
    _left_open: asyncio.StreamWriter | None = None

    def __post_init__(self) -> None:
        self._random = Random(f"{self.seed}/{self.gateway.device_id}")

    async def run(self) -> None:
        """Stay connected until cancelled."""
        failures = 0
        await asyncio.sleep(self.heartbeat_seconds * self._random.random())
        try:
            while True:
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        reader, writer = await asyncio.open_connection(self.host, self.port)
                except (OSError, TimeoutError) as error:
                    log.debug("%s: no server at %s:%d: %s", self.gateway.device_id, self.host, self.port, error)
                    failures += 1
                    await asyncio.sleep(min(0.5 * 2 ** min(failures, 9), MAX_RECONNECT_SECONDS) * uniform(0.5, 1.0))
                    continue
                failures = 0
                self.connected = True
                dials_again = False
                try:
                    dials_again = await self._talk(reader, writer)
                finally:
                    self.connected = False
                    self._close(self._left_open)
                    self._left_open = None
                    if dials_again:
                        self._left_open = writer
                    else:
                        self._close(writer)
                # A server that closes the connection is not dialled again at once.
                await asyncio.sleep(0 if dials_again else self.heartbeat_seconds)
        finally:
            self._close(self._left_open)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One connection until it ends. Returns whether to leave it open and dial again."""
        heartbeats = asyncio.create_task(self._beat(writer))
        answers = asyncio.create_task(self._answer(reader, writer))
        try:
            await asyncio.wait({heartbeats, answers}, return_when=asyncio.FIRST_COMPLETED)
            if heartbeats.done():
                heartbeats.result()
            return answers.result()
        except OSError:
            return False
        finally:
            heartbeats.cancel()
            answers.cancel()
            await asyncio.gather(heartbeats, answers, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer requests until the connection ends; as `_talk`. Raises OSError."""
        requests = Requests()
        while data := await reader.read(READ_BYTES):
            for request in requests.receive(data):
                delivery = deliver(self.gateway, request, datetime.now(UTC), self.faults, self._random)
                self.counts.update(delivery.faults)
                for piece in delivery.writes:
                    writer.write(piece)
                await writer.drain()
                if delivery.round_ends:
                    self.on_round()
                if delivery.dials_again:
                    return True
        return False

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        packet = self.gateway.registration
        while True:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(self.heartbeat_seconds)
            packet = self.gateway.heartbeat

    @staticmethod
    def _close(writer: asyncio.StreamWriter | None) -> None:
        if writer is not None:
            writer.close()
