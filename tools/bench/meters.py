"""Meters that send once a second, spread over the second, with QoS 1; one value is the time of publishing."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import uvloop
from gmqtt import Client

TOPIC = "MQTT_RT_DATA"
SLOTS = 50


async def run(port: int, devices: list[str], payload: dict[str, float], field: str, seconds: float) -> dict[str, int]:
    """Send for so many seconds; how many frames that were."""
    client = Client(f"meters-{uuid4().hex[:8]}")
    await client.connect("127.0.0.1", port)
    sent = 0
    due = time.time()
    end = due + seconds
    while due < end:
        for slot in range(SLOTS):
            due += 1 / SLOTS
            await asyncio.sleep(max(0.0, due - time.time()))
            stamp = datetime.now(UTC).astimezone(ZoneInfo("Asia/Dhaka")).strftime("%Y%m%d%H%M%S")
            for device in devices[slot::SLOTS]:
                body = {"id": device, **payload, field: time.time(), "time": stamp, "isend": "1"}
                client.publish(TOPIC, json.dumps(body), qos=1)
                sent += 1
    await asyncio.sleep(1)
    await client.disconnect()
    return {"sent": sent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--devices", required=True)
    parser.add_argument("--payload", required=True, help="JSON")
    parser.add_argument("--field", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    work = run(given.port, given.devices.split(","), json.loads(given.payload), given.field, given.seconds)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
