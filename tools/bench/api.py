"""Bench of the API: a page of one device and range, the newest of 1000 devices, an export; beside bare PyMongo.

`greenpower api` as shipped, 8 connections. `python -m tools.bench.api` prints a table; `--full` takes 5 000 000
documents of a tier beside the 200 000, and exports 1 000 000. How much a page grows from the small set to the large one
is taken from rounds on both in turn: the machine is not the same from one minute to the next.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bson
import httpx
import psutil
from bson.raw_bson import RawBSONDocument
from pydantic import SecretStr
from pymongo import MongoClient

from greenpower.catalog.registry import load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.schema.compression import make_compressed
from greenpower.mongo.schema.layout import SEEN, WATERMARKS, ensure_indexes
from greenpower.stack import Mongod, Valkey
from greenpower.stack.port import free_port
from tests.process import Command
from tests.wait import wait_until

DEVICES, LATEST = 500, 1_000
SMALL, LARGE = 200_000, 5_000_000
FIELDS = 20
WINDOW = timedelta(minutes=10)
START = datetime(2026, 1, 1, tzinfo=UTC)
URL = "/api/telemetry/rt-data/"
TIER, RAW = "last_7_days_grid_rt_data", "grid_rt_data"
SECONDS = 5.0
ROUNDS = 5
BATCH = 5_000


def run(quick: bool = True) -> dict[str, Any]:
    """The figures by size: {"200000": {"page": …, "floor_page": …}, …}, and of the smallest latest and export."""
    sizes = [SMALL] if quick else [SMALL, LARGE]
    found: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder,
        Mongod(Path(folder) / "mongod") as mongod,
        Valkey(Path(folder) / "valkey") as valkey,
    ):
        benches = [Bench(Path(folder), mongod.uri, valkey.url, f"bench_{size}") for size in sizes]
        for size, bench in zip(sizes, benches, strict=True):
            bench.fill(size)
        for size, bench in zip(sizes, benches, strict=True):
            found[str(size)] = bench.measure(exported=size == sizes[-1], rows=SMALL if quick else 1_000_000)
        if len(benches) == 2:
            found[str(sizes[-1])]["growth"] = growth(*benches)
    return found


def growth(small: Bench, large: Bench) -> float:
    """How many times as long a page of the large set takes, by medians of rounds on both in turn."""
    medians: dict[str, list[float]] = {small.name: [], large.name: []}
    with ExitStack() as stack:
        tokens = {bench.name: stack.enter_context(bench.serving()).token for bench in (small, large)}
        for _ in range(ROUNDS):
            for bench in (small, large):
                medians[bench.name].append(bench.load(tokens[bench.name], bench.pages)["p50_ms"])
    return statistics.median(medians[large.name]) / statistics.median(medians[small.name])


class Serving(Command):
    """The API of a bench; `token` lets its callers in."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.settings, "api", folder=bench.home)
        self.base = f"http://127.0.0.1:{bench.settings.api_port}"

    @cached_property
    def token(self) -> str:
        wait_until(lambda: _answers(self.base), 60)
        login = {"username": "admin", "password": "correct horse"}
        return str(httpx.post(f"{self.base}/api/users/token/", json=login, timeout=30).json()["access"])


class Bench:
    """A database and the API that serves it."""

    def __init__(self, home: Path, uri: str, redis_url: str, name: str) -> None:
        self.home = home
        self.name = name
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=home,
            jwt_signing_key=SecretStr("j" * 40),
            admin_password=SecretStr("correct horse"),
            mongo_db_uri=SecretStr(uri),
            mongo_db_name=name,
            mongo_last_7_days_ttl_seconds=0,
            redis_url=SecretStr(redis_url),
            api_rate_limit="1000000/minute",  # one address sends it all
            api_port=free_port(),
            log_level="WARNING",
        )
        self.steps = 0

    def fill(self, size: int) -> None:
        """Buckets of 500 devices in a tier, and 100 readings of each of 1000 devices."""
        self.steps = size // DEVICES
        with MongoClient[dict[str, Any]](self.settings.need("MONGO_DB_URI")) as client:
            db = client[self.settings.mongo_db_name]
            for collection, documents in ((TIER, _buckets(self.steps)), (RAW, _readings(100))):
                make_compressed(db, collection)
                insert_documents(db[collection], documents)
            ensure_indexes(db, load_registry(None), self.settings)
            # As ingest keeps it: that a device exists is looked up with each question.
            names = db[RAW].distinct("device_id")
            db[SEEN].insert_many([{"_id": f"rt|{name}", "type": "rt", "device_id": name} for name in names])
            mark = {"type": "rt", "prefix": "last_7_days_", "watermark": START + (self.steps + 1) * WINDOW}
            db[WATERMARKS].insert_one({"_id": "rt/last_7_days_", **mark})

    @property
    def span(self) -> tuple[datetime, datetime]:
        """What pages are asked of: 200 buckets a device."""
        since = START + (self.steps - 300) * WINDOW
        return since, since + 200 * WINDOW

    @property
    def pages(self) -> list[str]:
        """A page of each device."""
        since, until = (quote(time.isoformat()) for time in self.span)
        span = f"start_time={since}&end_time={until}"
        return [f"{URL}?device_id=BENCH{n:08}&{span}&resolution=10m&page_size=50" for n in range(DEVICES)]

    def serving(self) -> Serving:
        """Its API, running within the context."""
        init_sql(self.settings)
        return Serving(self)

    def measure(self, *, exported: bool, rows: int) -> dict[str, Any]:
        """Product and floor in turn."""
        limits = ("--since", self.span[0].isoformat(), "--until", self.span[1].isoformat())
        pages = self.pages
        with self.serving() as api:
            token = api.token
            found: dict[str, Any] = {
                "floor_page": self.floor("page", TIER, *limits),
                "page": self.load(token, pages),
                "page_none": self.load(token, [f"{path}&count=none" for path in pages]),
                "floor_latest": self.floor("latest", RAW),
                "latest": self.load(token, [f"{URL}latest/"]),
            }
            found["page_ratio"] = found["page"]["rate"] / found["floor_page"]["rate"]
            found["latest_ratio"] = found["latest"]["rate"] / found["floor_latest"]["rate"]
            if exported:
                end = START + rows // DEVICES * WINDOW
                found["floor_export"] = self.floor("export", TIER)
                found["export"] = self.export(
                    api, f"{api.base}{URL}export/?resolution=10m&end_time={end:%Y-%m-%dT%H:%M}", token
                )
                found["export_ratio"] = found["export"]["rate"] / found["floor_export"]["rate"]
        return found

    def floor(self, what: str, collection: str, *more: str) -> dict[str, Any]:
        """A floor's figures."""
        place = ("--uri", self.settings.need("MONGO_DB_URI"), "--name", self.settings.mongo_db_name)
        return run_module("floor_find", what, *place, "--collection", collection, "--seconds", str(SECONDS), *more)

    def load(self, token: str, paths: list[str]) -> dict[str, Any]:
        """The API's figures for some paths."""
        options = ("--port", str(self.settings.api_port), "--token", token, "--seconds", str(SECONDS))
        return run_module("requests", *options, text="\n".join(paths))

    def export(self, api: Command, url: str, token: str) -> dict[str, Any]:
        """An export's figures, and by how much the workers grew meanwhile, in MB."""
        workers = psutil.Process(api.process.pid).children()
        before = sum(worker.memory_info().rss for worker in workers)
        largest, lines, size = before, 0, 0
        began = time.perf_counter()
        with httpx.stream("GET", url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as response:
            response.raise_for_status()
            for number, part in enumerate(response.iter_raw(1 << 20)):
                lines += part.count(b"\n")
                size += len(part)
                if number % 8 == 0:
                    largest = max(largest, sum(worker.memory_info().rss for worker in workers))
        seconds = time.perf_counter() - began
        return {"rows": lines, "rate": lines / seconds, "bytes": size, "grew_mb": (largest - before) / 1e6}


def run_module(module: str, *args: str, text: str = "") -> dict[str, Any]:
    command = [sys.executable, "-m", f"tools.bench.{module}", *args]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stdout}{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/api/ready/", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def insert_documents(collection: Any, documents: Iterable[RawBSONDocument]) -> None:
    batch = []
    for document in documents:
        batch.append(document)
        if len(batch) == BATCH:
            collection.insert_many(batch, ordered=False)
            batch = []
    if batch:
        collection.insert_many(batch, ordered=False)


def _of_devices(count: int, shared: dict[str, Any]) -> Iterator[RawBSONDocument]:
    """A document for each device, the rest of it the same; encoded once, or a large set would take half an hour."""
    rest = bson.encode(shared)[4:]
    for number in range(count):
        own = bson.encode({"device_id": f"BENCH{number:08}"})[4:-1]
        yield RawBSONDocument(struct.pack("<i", 4 + len(own) + len(rest)) + own + rest)


def _buckets(steps: int) -> Iterator[RawBSONDocument]:
    """Buckets in order of time, as a tier gets them."""
    values = [round(200 + number * 1.2345, 4) for number in range(FIELDS)]
    payload = {f"f{number}": value for number, value in enumerate(values)}
    stats = {name: {"n": 20, "sum": 20 * value, "min": value, "max": value} for name, value in payload.items()}
    for step in range(steps):
        start = START + step * WINDOW
        coverage = {"count": 20, "first": start, "last": start + WINDOW - timedelta(seconds=30)}
        own = {"timestamp": start, "payload": payload, "stats": stats, "coverage": coverage, "final": True}
        yield from _of_devices(DEVICES, {**own, "as_of": start, "updated_at": start})


def _readings(each: int) -> Iterator[RawBSONDocument]:
    payload = {f"f{number}": round(200 + number * 1.2345, 4) for number in range(2 * FIELDS)}
    for step in range(each):
        stamp = START + timedelta(seconds=30 * step)
        own = {"topic": "MQTT_RT_DATA", "timestamp": stamp, "payload": payload, "updated_at": stamp}
        yield from _of_devices(LATEST, own)


def table(report: dict[str, Any]) -> str:
    """The figures for a person."""
    lines = []
    for size, found in report.items():
        lines.append(f"{int(size):,} buckets of {DEVICES} devices")
        for name in ("floor_page", "page", "page_none", "floor_latest", "latest"):
            row = found[name]
            lines.append(f"  {name:<14}{row['rate']:>9,.0f} /s  p50 {row['p50_ms']:.1f} ms  p99 {row['p99_ms']:.1f} ms")
        lines.append(f"  page ratio {found['page_ratio']:.2f}, latest ratio {found['latest_ratio']:.2f}")
        if "export" in found:
            row = found["export"]
            lines.append(
                f"  export {row['rows']:,} rows, {row['rate']:,.0f} /s, {found['export_ratio']:.2f} of a bare cursor's "
                f"{found['floor_export']['rate']:,.0f}; workers grew by {row['grew_mb']:.0f} MB"
            )
        if "growth" in found:
            lines.append(f"  growth of a page from the small set to this: {found['growth']:.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.api", description=__doc__)
    parser.add_argument("--full", action="store_true", help="5 000 000 documents, too")
    report = run(quick=not parser.parse_args().full)
    print(table(report))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
