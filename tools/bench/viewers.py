"""Many Socket.IO clients in one process, by hand on asyncio, so that they cost little beside what they measure.

Of each reading they take the time since its frame was published, which is told by a value in it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Any

import orjson
import uvloop
from websockets.asyncio.client import ClientConnection, connect

NAMESPACE = "/telemetry"
PREFIX = f"42{NAMESPACE},"


class Viewer:
    """A client. device: or `*`. Keeps latencies in seconds, of messages that came after `since`."""

    def __init__(self, device: str, field: str) -> None:
        self.device = device
        self.field = field
        self.readings = 0
        self.latencies: list[float] = []

    async def open(self, port: int, token: str) -> ClientConnection:
        """Connect and subscribe; returns when the snapshot is there."""
        socket = await connect(
            f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket",
            compression=None,
            max_size=None,
            ping_interval=None,
            open_timeout=60,
        )
        await socket.recv()
        await socket.send(f"40{NAMESPACE}," + json.dumps({"token": token}))
        await socket.recv()
        await socket.send(PREFIX + json.dumps(["subscribe", {"type": "rt", "device_id": self.device}]))
        while not str(await socket.recv()).startswith(PREFIX + '["snapshot"'):
            pass
        return socket

    async def watch(self, socket: ClientConnection) -> None:
        """Take what comes."""
        async for text in socket:
            now = time.time()
            if text == "2":
                await socket.send("3")
            elif isinstance(text, str) and text.startswith(PREFIX + '["reading"'):
                readings: list[dict[str, Any]] = orjson.loads(text[len(PREFIX) :])[1]
                self.readings += len(readings)
                self.latencies += (now - reading["payload"][self.field] for reading in readings)


def quantiles(latencies: list[float]) -> dict[str, float]:
    """p50 and p99 in milliseconds."""
    found = sorted(latencies) or [0.0]
    return {"p50_ms": found[len(found) // 2] * 1000, "p99_ms": found[int(len(found) * 0.99)] * 1000}


async def run(port: int, token: str, devices: list[str], every: int, field: str, seconds: float) -> dict[str, Any]:
    """One client a device, `every` clients on all; the figures of each kind after so many seconds."""
    ones = [Viewer(device, field) for device in devices]
    alls = [Viewer("*", field) for _ in range(every)]
    sockets = []
    for viewer in (*ones, *alls):
        sockets.append((viewer, await viewer.open(port, token)))
    tasks = [asyncio.create_task(viewer.watch(socket)) for viewer, socket in sockets]
    print("ready", flush=True)
    await asyncio.sleep(seconds)
    for _, socket in sockets:
        socket.transport.abort()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {name: figures(viewers) for name, viewers in (("one", ones), ("all", alls))}


def figures(viewers: list[Viewer]) -> dict[str, Any]:
    """What a kind of clients got."""
    latencies = [latency for viewer in viewers for latency in viewer.latencies]
    return {"readings": sum(viewer.readings for viewer in viewers), **quantiles(latencies)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--devices", required=True, help="their ids, with commas")
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--field", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    work = run(given.port, given.token, given.devices.split(","), given.every, given.field, given.seconds)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
