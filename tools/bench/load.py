"""Gateways that answer at once, with the next heartbeat glued to the answer; between two rounds they may pause.

A process of its own, so that its work is not the server's. Prints one line of JSON: {"gateways", "rounds", "seconds",
"rate", "processor_us"}: rounds a second, and what a round costs this process, in microseconds of processor time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import cast
from zoneinfo import ZoneInfo

import uvloop

from greenpower.catalog.registry import get_registry
from greenpower.simulator.gateway import REQUEST_SIZE, SimulatedGateway, make_gateways


class Talk(asyncio.Protocol):
    """One gateway's connection. The answers are made beforehand."""

    def __init__(self, gateway: SimulatedGateway, running: Callable[[], bool], pause: float) -> None:
        now = datetime.now(UTC)
        self.answers = {item.encoded: gateway.answer(item.encoded, now) for item in gateway.poll.requests}
        self.last = gateway.poll.requests[-1].encoded
        self.heartbeat = gateway.heartbeat
        self.running = running
        self.pause = pause
        self.rounds = 0
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its bases
        self.transport.write(self.heartbeat)

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        self.buffer += data
        while len(self.buffer) >= REQUEST_SIZE:
            request, self.buffer = self.buffer[:REQUEST_SIZE], self.buffer[REQUEST_SIZE:]
            ends = request == self.last
            self.rounds += ends
            # A round that was begun is brought to its end.
            if ends and self.pause and self.running():
                self.transport.write(self.answers[request])
                asyncio.get_running_loop().call_later(self.pause, self.transport.write, self.heartbeat)
            else:
                self.transport.write(self.answers[request] + (b"" if ends and not self.running() else self.heartbeat))


async def run(port: int, count: int, seconds: float, pause: float) -> dict[str, float]:
    datatype = next(datatype for datatype in get_registry() if datatype.gateways)
    loop = asyncio.get_running_loop()
    ends = loop.time() + 3600
    gateways = make_gateways(datatype, count, 0, ZoneInfo("UTC"))
    talks = [Talk(gateway, lambda: loop.time() < ends, pause) for gateway in gateways]
    for talk in talks:
        await connect(talk, port)
    began, before = time.perf_counter(), sum(talk.rounds for talk in talks)
    worked = time.process_time()
    ends = loop.time() + seconds
    await asyncio.sleep(seconds)
    measured, took = sum(talk.rounds for talk in talks) - before, time.perf_counter() - began
    worked = time.process_time() - worked
    quiet = -1
    while quiet != (quiet := sum(talk.rounds for talk in talks)):
        await asyncio.sleep(0.5 + pause)
    for talk in talks:
        assert talk.transport is not None
        talk.transport.close()
    return {
        "gateways": count,
        "rounds": quiet,
        "seconds": took,
        "rate": measured / took,
        "processor_us": 1e6 * worked / max(1, measured),
    }


async def connect(talk: Talk, port: int) -> None:
    """Dial in; the server may be on its way up."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while talk.transport is None:
            try:
                await loop.create_connection(lambda: talk, "127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--gateways", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--pause", type=float, default=0, help="seconds between two rounds of a gateway")
    given = parser.parse_args()
    print(json.dumps(uvloop.run(run(given.port, given.gateways, given.seconds, given.pause))))


if __name__ == "__main__":
    main()
