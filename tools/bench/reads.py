"""Bench of small reads: a day of one device in minutes, a month of energy of one device and of a hundred.

Each is asked of `greenpower api` as shipped and, in turn, of MongoDB itself (`floor_reads`), over one connection: it is
the time that a person waits. Then the day is asked for again while the dear question is asked without a pause, to see
what one costs the other. `python -m tools.bench.reads` prints the figures.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from greenpower.catalog.registry import load_registry
from greenpower.measure.windows import floor
from greenpower.mongo.energy.day_total import DayTotal, put_days
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, LedgerDay, day_of, month_of
from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY
from greenpower.mongo.schema.compression import make_compressed
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS, SEEN, WATERMARKS, ensure_indexes
from greenpower.stack import Mongod, Valkey
from tools.bench.api import Bench as ApiBench
from tools.bench.api import insert_documents, run_module

TIER_DEVICES, LEDGER_DEVICES, LEDGER_DAYS = 20, 100, 32
MINUTE, HALF_HOUR, SPACING = timedelta(minutes=1), timedelta(minutes=30), timedelta(seconds=30)
MINUTES, RAW, COUNTER = "today_grid_rt_data", "grid_eny_now_data", "zygsz"
# Declared fields, as a caller has to name them; the buckets have thirty more.
FIELDS = ("ua", "ub", "uc", "uab", "ubc", "uca", "ia", "ib", "ic", "ig")
OTHER_FIELDS = 30
QUARTER_ENERGY = 250_000
ROUNDS = 3
SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """name: as the table has it. floor: of `floor_reads`, with its options. times: the most it may take of its floor;
    ms: the most it may take."""

    name: str
    paths: Sequence[str]
    floor: str
    options: Sequence[str]
    times: float | None = None
    ms: float | None = None


def run(quick: bool = True) -> list[dict[str, Any]]:
    """The figures of each question: {"name", "ms", "floor_ms", "ratio", "times", "goal_ms"}, medians of rounds."""
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder,
        Mongod(Path(folder) / "mongod") as mongod,
        Valkey(Path(folder) / "valkey") as valkey,
    ):
        bench = ReadBench(Path(folder), mongod.uri, valkey.url, "bench_reads")
        bench.fill()
        return bench.measure_questions(SECONDS if quick else 3 * SECONDS)


class ReadBench(ApiBench):
    """A database with a day of minutes and a month of the ledger, and the API that serves it."""

    ledger_days = LEDGER_DAYS

    def __init__(self, home: Path, uri: str, redis_url: str, name: str) -> None:
        super().__init__(home, uri, redis_url, name)
        self.settings = self.settings.model_copy(update={"mongo_today_ttl_seconds": 0})
        self.now = datetime.now(UTC)
        self.today = day_of(self.now)
        # The ledger ends a little before now, as it does where the rollups keep pace.
        self.made_until = floor(self.now, 1800) - HALF_HOUR

    def fill(self, size: int = 0) -> None:
        """A day of minutes of some devices, the ledger of a hundred, and the readings after it."""
        with MongoClient[dict[str, Any]](self.settings.need("MONGO_DB_URI")) as client:
            db = client[self.settings.mongo_db_name]
            for collection, documents in (
                (MINUTES, minutes(self.today - DAY)),
                (RAW, readings(self.made_until - HALF_HOUR, self.now)),
                (INTERVALS, days(self.today, self.made_until, self.ledger_days)),
                (ENERGY_DAYS, months(self.today, self.ledger_days)),
            ):
                make_compressed(db, collection)
                insert_documents(db[collection], documents)
            db[SEEN].insert_many([_seen(kind, n) for kind in ("rt", "eny_now") for n in range(LEDGER_DEVICES)])
            ensure_indexes(db, load_registry(None), self.settings)
            for kind, prefix, mark in (
                ("rt", "today_", self.today),
                ("eny_now", INTERVALS, self.made_until),
                ("eny_now", "last_30_days_", self.made_until),
            ):
                own = {"type": kind, "prefix": prefix, "watermark": mark}
                db[WATERMARKS].insert_one({"_id": f"{kind}/{prefix}", **own})

    @property
    def questions(self) -> list[Question]:
        """What is asked."""
        begin, end = self.today - DAY, self.today - MINUTE
        day = {"start_time": begin.isoformat(), "end_time": end.isoformat(), "resolution": "1m", "count": "none"}
        day |= {"page_size": str(round(DAY / MINUTE)), "fields": ",".join(FIELDS)}
        since = self.today - 30 * DAY
        month = {"bucket": "day", "field": COUNTER, "start_time": since.isoformat()}
        shown = ["--since", since.isoformat(), "--until", self.made_until.isoformat(), "--raw", RAW]
        one = [_path("eny-now-data/consumption/", month | {"device_id": _device(n)}) for n in range(LEDGER_DEVICES)]
        return [
            Question(
                name="a day of one device in minutes, ten fields",
                paths=[_path("rt-data/", day | {"device_id": _device(n)}) for n in range(TIER_DEVICES)],
                floor="day",
                options=["--since", begin.isoformat(), "--until", end.isoformat(), "--collection", MINUTES],
                times=2.0,
            ),
            Question(name="31 days of energy of one device", paths=one, floor="energy", options=shown, times=2.0),
            Question(
                name=f"31 days of energy of {LEDGER_DEVICES} devices",
                paths=[_path("eny-now-data/consumption/", month)],
                floor="energy",
                options=[*shown, "--each", str(LEDGER_DEVICES)],
                ms=1_000,
            ),
        ]

    def measure_questions(self, seconds: float) -> list[dict[str, Any]]:
        """Product and floor in turn; then the first question while the last is asked."""
        rows: list[dict[str, Any]] = []
        with self.serving() as api:
            token = api.token
            for question in self.questions:
                pairs = [(self.ask(token, question.paths, seconds), self.bare(question)) for _ in range(ROUNDS)]
                ours, bare = (sorted(one[side] for one in pairs)[ROUNDS // 2] for side in (0, 1))
                rows.append(
                    {"name": question.name, "ms": ours, "floor_ms": bare, "ratio": ours / bare}
                    | {"times": question.times, "goal_ms": question.ms}
                )
            first, *_, dear = self.questions
            pressing = threading.Thread(target=self.ask, args=(token, dear.paths, 2 * seconds, 4))
            pressing.start()
            meanwhile = self.ask(token, first.paths, seconds)
            pressing.join()
            name = f"{first.name}, while four ask for {dear.name}"
            rows.append({"name": name, "ms": meanwhile, "floor_ms": rows[0]["ms"], "ratio": meanwhile / rows[0]["ms"]})
        return rows

    def ask(self, token: str, paths: Sequence[str], seconds: float, connections: int = 1) -> float:
        """The median milliseconds of some questions."""
        options = ("--port", str(self.settings.api_port), "--token", token, "--seconds", str(seconds))
        found = run_module("requests", *options, "--connections", str(connections), text="\n".join(paths))
        return float(found["p50_ms"])

    def bare(self, question: Question) -> float:
        """The same of MongoDB itself."""
        place = ("--uri", self.settings.need("MONGO_DB_URI"), "--name", self.settings.mongo_db_name)
        return float(run_module("floor_reads", question.floor, *place, *question.options)["p50_ms"])


def _path(of: str, parameters: dict[str, str]) -> str:
    return f"/api/telemetry/{of}?{urlencode(parameters)}"


def _device(number: int) -> str:
    return f"BENCH{number:08}"


def _seen(kind: str, number: int) -> dict[str, Any]:
    device = _device(number)
    return {"_id": f"{kind}|{device}", "type": kind, "device_id": device}


def minutes(begin: datetime) -> Iterator[RawBSONDocument]:
    """Buckets of a minute of a day: a walk of each device's own."""
    names = [*FIELDS, *(f"f{number}" for number in range(OTHER_FIELDS))]
    for step in range(round(DAY / MINUTE)):
        start = begin + step * MINUTE
        for device in range(TIER_DEVICES):
            payload = {name: 230 + (7 * step + 13 * device + place) % 100 / 10 for place, name in enumerate(names)}
            coverage = {"count": 1, "first": start, "last": start}
            own = {"device_id": _device(device), "timestamp": start, "payload": payload, "coverage": coverage}
            yield RawBSONDocument(bson.encode({**own, "final": True, "as_of": start, "updated_at": start}))


def readings(begin: datetime, end: datetime) -> Iterator[RawBSONDocument]:
    """Readings of a counter from before the end of the ledger to now."""
    for step in range((end - begin) // SPACING):
        stamp = begin + step * SPACING
        for device in range(LEDGER_DEVICES):
            own = {"device_id": _device(device), "timestamp": stamp, "payload": {COUNTER: 1_000 + step / 100}}
            yield RawBSONDocument(bson.encode({**own, "topic": "MQTT_ENY_NOW", "updated_at": stamp}))


def ledger_day(day: datetime, until: datetime) -> LedgerDay:
    """A day of the ledger, up to a time within it or after it."""
    found = LedgerDay.read(day, None)
    for slot in range(min(SLOTS_PER_DAY, (until - day) // QUARTER)):
        last, last_ms = 1_000 + slot / 4, (slot + 1) * 900_000 - 1
        found.columns.put(slot, energy=QUARTER_ENERGY, n=30, silence=0, flags=0, last=last, last_ms=last_ms)
    return found


def days(today: datetime, until: datetime, length: int = LEDGER_DAYS) -> Iterator[RawBSONDocument]:
    """The days of the ledger, of each device. length: how many there are before today."""
    for back in range(length, -1, -1):
        day = today - back * DAY
        found = ledger_day(day, until)
        if day < until:
            rest = found.document(found.columns.sum(), until)
            yield from _of_ledger({"day": day, "as_of": until, **rest})


def months(today: datetime, length: int = LEDGER_DAYS) -> Iterator[RawBSONDocument]:
    """The same by months: days that are over."""
    totals: dict[datetime, dict[datetime, DayTotal | None]] = {}
    for back in range(length, 0, -1):
        day = today - back * DAY
        totals.setdefault(month_of(day), {})[day] = DayTotal.of(ledger_day(day, today))
    for month, found in totals.items():
        if document := put_days(None, month, found, today):
            yield from _of_ledger({"month": month, "as_of": today, **document})


def _of_ledger(document: dict[str, Any]) -> Iterator[RawBSONDocument]:
    for device in range(LEDGER_DEVICES):
        own = {"type": "eny_now", "device_id": _device(device), "field": COUNTER}
        yield RawBSONDocument(bson.encode({**own, **document}))


if __name__ == "__main__":
    found = run("--full" not in sys.argv)
    for row in found:
        print(f"{row['name']:<90}{row['ms']:>9.1f} ms, floor {row['floor_ms']:.1f} ms, {row['ratio']:.2f} of it")
    print(json.dumps(found))
