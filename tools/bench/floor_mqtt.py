"""Floor (a): how fast a bare gmqtt client drains frames that wait at a broker, when it only decodes their JSON.

MQTT 5, a persistent session, acknowledgements held for a batch of 1000 frames or 50 ms. Imports nothing of greenpower.
Prints one line of JSON: {"frames", "seconds", "rate"}.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

import orjson
import uvloop
from gmqtt import Client

from tools.bench.frames import TOPIC, end_session, make_frames, publish

BATCH = 1000
LONGEST_WAIT = 0.05
RECEIVE_MAXIMUM = 4000
CLIENT_ID = "bench-floor"


class Drain:
    """Counts frames and holds their acknowledgements until the batch is full or old."""

    def __init__(self, expected: int) -> None:
        self.expected = expected
        self.count = 0
        self.began = 0.0
        self.done = asyncio.Event()
        self.decoded: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def on_message(self, client: Any, topic: str, payload: bytes, qos: int, properties: Any) -> int:
        self.began = self.began or time.perf_counter()
        self.decoded.append(orjson.loads(payload))
        if self._waiting is None:
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            self._timer = loop.call_later(LONGEST_WAIT, self._close)
        waiting = self._waiting
        if len(self.decoded) >= BATCH:
            self._close()
        await waiting
        self.count += 1
        if self.count == self.expected:
            self.done.set()
        return 0

    def _close(self) -> None:
        waiting, self._waiting = self._waiting, None
        if self._timer is not None:
            self._timer.cancel()
        if waiting is not None:
            self.decoded.clear()
            waiting.set_result(None)


def new_client() -> Any:
    return Client(
        CLIENT_ID,
        clean_session=False,
        optimistic_acknowledgement=False,
        session_expiry_interval=0xFFFFFFFF,
        receive_maximum=RECEIVE_MAXIMUM,
    )


async def subscribe(host: str, port: int) -> None:
    """Make the session, and leave."""
    client = new_client()
    subscribed = asyncio.Event()
    client.on_subscribe = lambda *_: subscribed.set()
    await client.connect(host, port)
    client.subscribe(TOPIC, qos=1)
    await subscribed.wait()
    await client.disconnect()


async def drain(host: str, port: int, count: int) -> float:
    """Take `count` waiting frames. Seconds from the first frame to the last acknowledgement."""
    state = Drain(count)
    client = new_client()
    client.on_message = state.on_message
    await client.connect(host, port)
    await state.done.wait()
    seconds = time.perf_counter() - state.began
    await asyncio.sleep(0)
    await client.disconnect()
    return seconds


async def run(host: str, port: int, count: int) -> dict[str, float]:
    frames = make_frames(count)
    await subscribe(host, port)
    await publish(host, port, [(TOPIC, payload) for payload in frames])
    del frames
    seconds = await drain(host, port, count)
    await end_session(host, port, CLIENT_ID)
    return {"frames": count, "seconds": seconds, "rate": count / seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--frames", type=int, default=50_000)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(run(given.host, given.port, given.frames))))
    assert not [name for name in sys.modules if name.partition(".")[0] in ("greenpower", "plugins")]


if __name__ == "__main__":
    main()
