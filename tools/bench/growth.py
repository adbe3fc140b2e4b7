"""Bench of growth: what a frame costs `greenpower ingest` with few and many devices, on an empty and on a full
database, and while as many readings and events expire as come in. Each drain ends with a count: nothing may be lost.

What is compared is drained in turn, on databases that are empty each time but for the full one, and the medians count.
`python -m tools.bench.growth` prints the rows; `--full` stores 10 000 000 readings and events before, not 200 000, and
takes three rounds, not one.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from uuid import uuid4

import bson
import orjson
from bson.raw_bson import RawBSONDocument
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.schema.layout import EVENTS, ensure_indexes
from greenpower.stack import Mongod, Mosquitto
from greenpower.stack.port import free_port
from tests.process import Command
from tests.wait import wait_until
from tools.bench.frames import FIELDS, SPACING, TOPIC, ZONE, publish

Document = dict[str, Any]
Row = dict[str, Any]
RAW = "grid_rt_data"
DEVICES = 500
BATCH = 2_000
PAYLOADS = 997
PATIENCE = 300
# The oldest of what was stored before is so old, and expires first.
AGE = timedelta(days=9)
# Of a drain on an empty database.
FLAT = 0.9


class Expiring(Mongod):
    """A mongod that deletes what has expired every second, not every minute: steadily beside what comes in."""

    def command(self) -> list[str]:
        return [*super().command(), "--setParameter", "ttlMonitorSleepSecs=1"]


class Growth:
    """A database that grows, a broker, and ingest as it ships."""

    def __init__(self, home: Path, mongod: Mongod, mosquitto: Mosquitto, frames: int, client_id: str) -> None:
        self.home, self.mosquitto, self.frames = home, mosquitto, frames
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=home,
            mongo_db_uri=SecretStr(mongod.uri),
            mongo_db_name="growth",
            mqtt_broker=mosquitto.host,
            mqtt_port=mosquitto.port,
            mqtt_client_id=client_id,
            ingest_http_port=free_port(),
            mongo_events_ttl_seconds=0,
            log_level="WARNING",
        )
        self.client = MongoClient[Document](mongod.uri, tz_aware=True)
        self.db: Database[Document] = self.client["growth"]
        self.drained = 0
        self.empty()

    def empty(self) -> None:
        """Begin anew."""
        self.client.drop_database("growth")
        ensure_indexes(self.db, get_registry(), self.settings)

    def drain(self, devices: int = DEVICES, settings: Settings | None = None) -> float:
        """Frames a second, from the arrival of the first to the last event."""
        using = settings or self.settings
        # Each drain has devices of its own: none of its readings is there yet.
        packets = list(make_packets(self.frames, devices, self.drained * 100_000))
        self.drained += 1
        with Command(using, "ingest", "--mqtt", folder=self.home) as command:
            command.wait_healthy(60)
            command.stop()
        asyncio.run(publish(self.mosquitto.host, self.mosquitto.port, packets))
        since = {"$gte": datetime.now(UTC)}
        with Command(using, "ingest", "--mqtt", folder=self.home) as command:
            wait_until(
                lambda: self.db[EVENTS].count_documents({"received_at": since}) >= len(packets), PATIENCE, every=0.05
            )
            ended = datetime.now(UTC)
            command.stop()
        began = self.db[EVENTS].find_one({"received_at": since}, sort=[("received_at", 1)])
        stored = self.db[RAW].count_documents({"updated_at": since})
        if began is None or stored != len(packets):
            raise SystemExit(f"lost: {stored} of {len(packets)} readings are stored")
        seconds: float = (ended - began["received_at"]).total_seconds()
        return len(packets) / seconds

    def fill(self, count: int, rate: float) -> datetime:
        """Store readings and events that are as far apart as `rate` a second. Returns the time of the oldest.

        Their indexes are built after, which is several times faster.
        """
        begin = datetime.now(UTC) - AGE
        rows = {RAW: _readings(count, begin, rate), EVENTS: _events(count, begin, rate)}
        for collection in rows:
            self.db[collection].drop_indexes()
        with ThreadPoolExecutor() as pool:
            list(pool.map(self._insert, rows, rows.values()))
        ensure_indexes(self.db, get_registry(), self.settings)
        self.client.admin.command("fsync")  # or the next drain would share the disk with it
        return begin

    def _insert(self, collection: str, rows: Iterator[Document]) -> None:
        with MongoClient[Document](self.settings.need("MONGO_DB_URI"), w=1, journal=False) as client:
            while batch := list(islice(rows, BATCH)):
                client["growth"][collection].insert_many(batch, ordered=False)

    def drain_while_expiring(self, oldest: datetime) -> tuple[float, int]:
        """As `drain`, while what was stored before expires, as fast as it once came. Also how much of it is gone."""
        kept = int((datetime.now(UTC) - oldest).total_seconds())
        using = self.settings.model_copy(update={"mongo_raw_ttl_seconds": kept, "mongo_events_ttl_seconds": kept})
        before = self.db[EVENTS].estimated_document_count()
        rate = self.drain(settings=using)
        gone = before + self.frames - self.db[EVENTS].estimated_document_count()
        if not gone:
            raise SystemExit("nothing expired meanwhile")
        return rate, gone


def make_packets(count: int, devices: int, first: int) -> Iterator[tuple[str, bytes]]:
    """Frames of 40 fields of so many meters in turn, the times before now."""
    random = Random(first)
    rounds = -(-count // devices)
    now = datetime.now(ZONE).replace(microsecond=0)
    for number in range(count):
        turn, device = divmod(number, devices)
        stamp = f"{now - (rounds - turn) * SPACING:%Y%m%d%H%M%S}"
        values = ",".join(
            f'"{key}":{usual * random.uniform(0.97, 1.03):.{decimals}f}' for key, (usual, decimals) in FIELDS.items()
        )
        yield TOPIC, f'{{"id":"33B19{first + device:08d}",{values},"time":"{stamp}","isend":"1"}}'.encode()


def _stored(count: int, begin: datetime, rate: float) -> Iterator[tuple[str, datetime, int]]:
    for number in range(count):
        yield f"33B18{number % DEVICES:08d}", begin + timedelta(seconds=number / rate), number


def _payloads() -> list[dict[str, float]]:
    """So many that none is there twice in what is compressed in one piece."""
    random = Random(0)
    return [
        {name: round(usual * random.uniform(0.97, 1.03), places) for name, (usual, places) in FIELDS.items()}
        for _ in range(PAYLOADS)
    ]


def _readings(count: int, begin: datetime, rate: float) -> Iterator[Document]:
    payloads = [RawBSONDocument(bson.encode(payload)) for payload in _payloads()]
    for device, at, number in _stored(count, begin, rate):
        times = {"timestamp": at, "received_at": at, "updated_at": at}
        yield {"device_id": device, "topic": TOPIC, **times, "payload": payloads[number % PAYLOADS], "complete": True}


def _events(count: int, begin: datetime, rate: float) -> Iterator[Document]:
    texts = [orjson.dumps(payload).decode()[1:] for payload in _payloads()]
    for device, at, number in _stored(count, begin, rate):
        raw = f'{{"id":"{device}",{texts[number % PAYLOADS]}'
        known = {"type": "rt", "topic": TOPIC, "outcome": "stored"}
        yield {**known, "received_at": at, "device_id": device, "timestamp": at, "raw": raw}


def run(quick: bool) -> list[Row]:
    """Rows of name, frames_per_s and the ratio to the first, the empty database."""
    frames, stored, rounds = (20_000, 200_000, 1) if quick else (100_000, 10_000_000, 3)
    # One for all: a session of another name would stay at the broker and be sent everything too.
    client_id = f"bench-{uuid4().hex[:8]}"
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder,
        Expiring(Path(folder) / "mongod") as mongod,
        Expiring(Path(folder) / "filled") as filled,
        Mosquitto(Path(folder) / "mosquitto") as mosquitto,
    ):
        fresh = Growth(Path(folder), mongod, mosquitto, frames, client_id)
        full = Growth(Path(folder), filled, mosquitto, frames, client_id)
        rates: dict[str, list[float]] = {"usual": [], "few": [], "many": [], "empty": [], "full": []}

        def drain(name: str, devices: int = DEVICES) -> None:
            fresh.empty()
            rates[name].append(fresh.drain(devices))

        for _ in range(rounds):
            drain("usual")
            drain("few", 10)
            drain("many", 10_000)
        oldest = full.fill(stored, median(rates["usual"]))
        for _ in range(rounds):
            drain("empty")
            rates["full"].append(full.drain())
        expiring, gone = full.drain_while_expiring(oldest)
        fresh.client.close()
        full.client.close()
    usual, empty = median(rates["usual"]), median(rates["empty"])

    def row(name: str, rate: float, base: float, **more: Any) -> Row:
        return {"name": name, "frames_per_s": rate, "ratio": rate / base, **more}

    return [
        {"name": f"ingest, {DEVICES} devices, empty database", "frames_per_s": usual, "rounds": rates},
        row("ingest, 10 devices", median(rates["few"]), usual, goal=FLAT),
        row("ingest, 10 000 devices", median(rates["many"]), usual, goal=FLAT),
        row(f"ingest, {stored:,} stored", median(rates["full"]), empty, goal=FLAT),
        row("ingest, as many expiring", expiring, empty, expired=gone),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.growth", description=__doc__)
    parser.add_argument("--full", action="store_true", help="10 000 000 stored")
    for row in run(quick=not parser.parse_args().full):
        print(row)


if __name__ == "__main__":
    main()
