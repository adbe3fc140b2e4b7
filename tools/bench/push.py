"""Bench of `greenpower ingest --http`: batches of 100 frames pushed over a few connections, each answered once it is
stored; in turn with the same frames that wait at the broker.

Run as a program, it is the sender.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import uvloop
from pymongo import MongoClient

from greenpower.mongo.devices.push_keys import new_push_key
from greenpower.mongo.schema.layout import PUSH_KEYS
from greenpower.stack import Mongod, Mosquitto
from greenpower.stack.port import free_port
from tests.process import Command
from tools.bench.frames import TOPIC, make_frames
from tools.bench.ingest import EVENTS, Bench, Document, check, finish

BATCH_FRAMES = 100
SENDERS = 32
COLLECTION = "grid_rt_data"
PUSH_GOAL = 0.4


def run(frames: int, rounds: int) -> list[dict[str, Any]]:
    """The row: frames a second that were answered, and their ratio to those over MQTT. Medians."""
    found: dict[str, list[float]] = {"mqtt": [], "push": []}
    packets = [(TOPIC, payload) for payload in make_frames(frames)]
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        home = Path(folder)
        with Mongod(home / "mongod") as mongod, Mosquitto(home / "mosquitto") as mosquitto:
            bench = Bench(home, mongod, mosquitto)
            for number in range(rounds):
                found["mqtt"].append(bench.drain(packets, {COLLECTION: frames}))
                found["push"].append(push(bench, frames))
                shown = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in found.items())
                print(f"push, round {number + 1} of {rounds}: {shown}", file=sys.stderr, flush=True)
    rate, floor = median(found["push"]), median(found["mqtt"])
    name = f"ingest over HTTP, batches of {BATCH_FRAMES} frames, to MQTT"
    return [{"name": name, "frames_per_s": rate, "ratio": rate / floor, "goal": PUSH_GOAL}]


def push(bench: Bench, frames: int) -> float:
    """Frames a second from the first byte sent to the last answer. Raises BenchError where one is lost."""
    settings = bench.settings().model_copy(update={"push_port": free_port(), "push_frames_per_minute": 0})
    with MongoClient[Document](bench.mongod.uri, tz_aware=True) as client:
        db = client[settings.mongo_db_name]
        document, key = new_push_key(name="bench", claims=[], devices=[], made_by="bench", now=datetime.now(UTC))
        db[PUSH_KEYS].insert_one(document)
        with Command(settings, "ingest", "--http", folder=bench.home) as command:
            command.wait_healthy().wait_listening(settings.push_port)
            load = [sys.executable, "-m", "tools.bench.push", "--port", str(settings.push_port), "--key", key]
            load += ["--frames", str(frames)]
            figures = finish(subprocess.Popen(load, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
            command.stop()
        assert db[EVENTS].estimated_document_count() == frames
        check(db, frames, {COLLECTION: frames})
        client.drop_database(db.name)
    return figures["rate"]


async def _send_all(port: int, key: str, frames: int) -> dict[str, float]:
    payloads = make_frames(frames)
    bodies = [b"\n".join(payloads[at : at + BATCH_FRAMES]) for at in range(0, frames, BATCH_FRAMES)]
    connections = [await asyncio.open_connection("127.0.0.1", port, limit=2**20) for _ in range(SENDERS)]
    waiting = iter(bodies)
    began = time.perf_counter()

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for body in waiting:
            head = (
                f"POST /api/ingest/rt/ HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            length = int(answer.lower().partition(b"content-length:")[2].split()[0])
            assert json.loads(await reader.readexactly(length))["stored"] == body.count(b"\n") + 1
        writer.close()

    await asyncio.gather(*(send(*connection) for connection in connections))
    return {"rate": frames / (time.perf_counter() - began)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--frames", type=int, required=True)
    given = parser.parse_args()
    print(json.dumps(uvloop.run(_send_all(given.port, given.key, given.frames))))


if __name__ == "__main__":
    main()
