"""A simulation under way: readings at their times, until told to stop.

What belongs here: pacing, counting, the end. What does not: what is sent (`fault`, `delivery`) and how (`publisher`,
`dial`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.config import Settings
from greenpower.simulator.dial import Dialler
from greenpower.simulator.fault import Sender
from greenpower.simulator.fleet import Fleet
from greenpower.simulator.listeners import Listeners
from greenpower.simulator.publisher import SimulatorPublisher

log = logging.getLogger(__name__)

#: seconds behind the plan after which readings are left out instead of sent late
LATE_SECONDS = 2.0
REPORT_SECONDS = 600.0
#: how long the end waits for the broker to acknowledge what is under way
DRAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationPlan:
    """rate: readings per second in total, of the devices in turn. count, seconds: when to stop; None: never."""

    rate: float
    count: int | None = None
    seconds: float | None = None


@dataclass(slots=True, kw_only=True)
class Totals:
    """readings made, left out because the broker was away or the machine too slow; packets sent, never acknowledged."""

    readings: int = 0
    skipped: int = 0
    packets: int = 0
    open: int = 0


class Simulation:
    """One run of a fleet. A gateway's reading is a round that it answered to the end."""

    def __init__(self, fleet: Fleet, plan: SimulationPlan, sender: Sender, settings: Settings) -> None:
        self.totals = Totals()
        self._fleet = fleet
        self._plan = plan
        self._sender = sender
        self._enough = asyncio.Event()
        self._publisher = SimulatorPublisher(settings, Listeners(fleet.devices)) if fleet.devices else None
        seconds = len(fleet) / plan.rate
        self._diallers = [
            Dialler(
                gateway=gateway, host=settings.tcp_host, port=settings.tcp_port,
                heartbeat_seconds=seconds / len(gateway.poll.requests), on_round=self._count,
                faults=sender.faults, seed=sender.seed, counts=sender.counts,
            )
            for gateway in fleet.gateways
        ]  # fmt: skip

    async def run(self, stop: asyncio.Event) -> Totals:
        """Go on until the plan is done or `stop` is set; then wait a little for what is under way.

        Raises what any part of it raises.
        """
        work: list[asyncio.Task[Any]] = [asyncio.create_task(dialler.run()) for dialler in self._diallers]
        making: list[asyncio.Task[Any]] = []
        if self._publisher is not None:
            work.append(asyncio.create_task(self._publisher.run()))
            making.append(asyncio.create_task(self._make(self._publisher)))
        work.append(asyncio.create_task(self._report()))
        work += making
        ends: list[asyncio.Future[Any]] = [asyncio.create_task(stop.wait()), asyncio.create_task(self._enough.wait())]
        if self._publisher is not None:
            ends.append(self._publisher.failed)
        try:
            done, _ = await asyncio.wait(
                [*work, *ends], timeout=self._plan.seconds, return_when=asyncio.FIRST_COMPLETED
            )  # fmt: skip
            for task in done:
                task.result()
            for task in making:
                task.cancel()
            if self._publisher is not None:
                await self._finish(self._publisher)
        finally:
            for task in (*work, *ends):
                task.cancel()
            results = await asyncio.gather(*work, *ends, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):  # it failed while the simulation was ending
                raise result
        return self.totals

    async def _make(self, publisher: SimulatorPublisher) -> None:
        """Send the readings of the devices in turn, each when it is due."""
        devices = self._fleet.devices
        rate = self._plan.rate * len(devices) / len(self._fleet)
        loop = asyncio.get_running_loop()
        began, epoch = loop.time(), datetime.now(UTC)
        slot = 0
        while not self._enough.is_set():
            due = slot / rate
            late = loop.time() - began - due
            if late > LATE_SECONDS:
                self.totals.skipped += int(late * rate)
                slot += int(late * rate)
                continue
            if late < 0:
                await asyncio.sleep(-late)
            for packet in self._sender.send(devices[slot % len(devices)], epoch + timedelta(seconds=due)):
                await publisher.send(packet)
            self._count()
            slot += 1

    async def _finish(self, publisher: SimulatorPublisher) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                for packet in self._sender.flush():
                    await publisher.send(packet)
                await publisher.drain()
        self.totals.packets, self.totals.open = publisher.sent, publisher.open

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            connected = sum(dialler.connected for dialler in self._diallers)
            log.info("%d readings, %d of %d gateways connected", self.totals.readings, connected, len(self._diallers))

    def _count(self) -> None:
        self.totals.readings += 1
        if self.totals.readings == self._plan.count:
            self._enough.set()
