"""A simulation under way: readings at their times, until told to stop.

What belongs here: pacing, counting, the end. What does not: what is sent (`fault`, `device`) and how (`publisher`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.config import Settings
from greenpower.simulator.device import Device
from greenpower.simulator.fault import Sender
from greenpower.simulator.publisher import Publisher

log = logging.getLogger(__name__)

#: seconds behind the plan after which readings are left out instead of sent late
LATE_SECONDS = 2.0
REPORT_SECONDS = 600.0
#: how long the end waits for the broker to acknowledge what is under way
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """rate: readings a second in all, of the devices in turn. count, seconds: stop after so many; None goes on."""

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


async def simulate(
    devices: Sequence[Device], plan: Plan, sender: Sender, settings: Settings, stop: asyncio.Event
) -> Totals:
    """Send readings by plan until it is done or `stop` is set; then wait a little for what is under way."""
    totals = Totals()
    publisher = Publisher(settings)
    connection = asyncio.create_task(publisher.run())
    making = asyncio.create_task(_make(devices, plan, sender, publisher, totals, stop))
    stopping = asyncio.create_task(stop.wait())
    tasks: list[asyncio.Task[Any]] = [connection, making, stopping]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        making.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                for packet in sender.flush():
                    await publisher.send(packet)
                await publisher.drain()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    totals.packets, totals.open = publisher.sent, publisher.open
    return totals


async def _make(
    devices: Sequence[Device], plan: Plan, sender: Sender, publisher: Publisher, totals: Totals, stop: asyncio.Event
) -> None:
    loop = asyncio.get_running_loop()
    began, epoch = loop.time(), datetime.now(UTC)
    report = began + REPORT_SECONDS
    slot = 0
    while plan.count is None or totals.readings < plan.count:
        due = slot / plan.rate
        if plan.seconds is not None and due >= plan.seconds:
            return
        late = loop.time() - began - due
        if late > LATE_SECONDS:
            totals.skipped += int(late * plan.rate)
            slot += int(late * plan.rate)
            continue
        if late < 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), -late)
        if stop.is_set():
            return
        for packet in sender.send(devices[slot % len(devices)], epoch + timedelta(seconds=due)):
            await publisher.send(packet)
        totals.readings += 1
        slot += 1
        if loop.time() > report:
            report += REPORT_SECONDS
            log.info("%d readings, %d packets", totals.readings, publisher.sent)
