"""A small world to roll up: two data types, readings stored as ingest stores them, a clock, and the plain truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import ENERGY_TIERS, STANDARD_TIERS, DataType, Field, Kind, Mqtt, Tier, json_parser
from greenpower.jobs.plan import make_plans
from greenpower.jobs.run import run_all
from greenpower.jobs.tier import Counts
from greenpower.rollup.grace import late_before
from greenpower.rollup.window import ceil
from greenpower.store.client import Document
from greenpower.store.layout import MARKS
from greenpower.store.marks import Place, mark_now
from tests.rollup import plain

RATE = 2_000.0


def data_type(name: str, tiers: tuple[Tier, ...]) -> DataType:
    """A data type with a field of each kind."""
    return DataType(
        name=name,
        title=name,
        collection=f"{name}_data",
        match=(Mqtt(name),),
        fields=(
            Field("g", unit="kW"),
            Field("a", unit="°", kind=Kind.ANGLE),
            Field("s", unit="s", kind=Kind.STATE),
            Field("c", unit="kWh", kind=Kind.COUNTER, greatest_rate=RATE),
            Field("d", unit="kWh", kind=Kind.COUNTER, modulus=10_000),
        ),
        parse=json_parser(device="id", time="time"),
        tiers=tiers,
    )


POWER = data_type("power", STANDARD_TIERS)
ENERGY = data_type("energy", ENERGY_TIERS)
KINDS: dict[str, Any] = {
    "g": ("gauge", plain.gauge),
    "a": ("angle", plain.angle),
    "s": ("state", plain.last),
    "c": ("counter", lambda samples, length: plain.counter(samples, length, RATE, None)),
    "d": ("counter", lambda samples, length: plain.counter(samples, length, None, 10_000)),
    "x": ("gauge", plain.gauge),
}


class World:
    """A database, a clock, and what ingest and the jobs do with them."""

    def __init__(self, db: Database[Document], settings: Settings, now: datetime) -> None:
        self.db = db
        self.settings = settings
        self.now = now

    def clock(self) -> datetime:
        return self.now

    def store(self, datatype: DataType, device: str, readings: Iterable[tuple[datetime, Mapping[str, Any]]]) -> None:
        """Store readings as ingest does: merged into what is there, then marked where they are late by the clock."""
        raw = self.db[datatype.collection]
        places = set()
        late = late_before(self.now, datatype.tiers[0].window)
        documents = []
        for time, payload in readings:
            documents.append(
                {
                    "_id": ObjectId(),
                    "device_id": device,
                    "topic": datatype.name,
                    "timestamp": time,
                    "received_at": self.now,
                    "updated_at": self.now,
                    "payload": dict(payload),
                    "complete": True,
                }
            )
            if time < late:
                places.add(Place.of(datatype.name, datatype.tiers[0].prefix, device, time))
        if documents:
            raw.insert_many(documents)
        mark_now(self.db[MARKS], places)

    def run(self, *datatypes: DataType) -> dict[str, Counts]:
        """One run of each tier."""
        return run_all(self.db, datatypes or (POWER, ENERGY), self.settings, clock=self.clock)

    def check(self, datatype: DataType) -> int:
        """Hold every bucket that retention still holds against the plain recomputation from raw. Returns how many."""
        series: dict[str, list[Any]] = {}
        for document in self.db[datatype.collection].find().sort([("device_id", 1), ("timestamp", 1)]):
            series.setdefault(document["device_id"], []).append((document["timestamp"], document["payload"]))
        checked = 0
        for plan in make_plans(datatype, self.settings):
            kept = ceil(self.now - timedelta(seconds=plan.ttl), plan.unit)
            found: dict[str, dict[datetime, Document]] = {}
            for bucket in self.db[plan.collection].find({"timestamp": {"$gte": kept}}):
                found.setdefault(bucket["device_id"], {})[bucket["timestamp"]] = bucket
            if plan.window is None:
                for device, readings in series.items():
                    copies = [(time, bucket["payload"]) for time, bucket in sorted(found.get(device, {}).items())]
                    assert copies == [(time, payload) for time, payload in readings if time >= kept]
                continue
            for device, readings in series.items():
                checked += _check_device(found.pop(device, {}), readings, plan.window, kept, (plan.name, device))
            assert not any(found.values()), f"{plan.name} has buckets of {sorted(found)} that raw has not"
        return checked


def _check_device(
    buckets: dict[datetime, Document], readings: list[plain.Reading], window: int, kept: datetime, what: object
) -> int:
    starts = {plain.window_of(time, window) for time, _ in readings}
    assert buckets.keys() == {start for start in starts if start >= kept}, what
    times: dict[datetime, list[datetime]] = {}
    for time, _ in readings:
        times.setdefault(plain.window_of(time, window), []).append(time)
    for start, bucket in buckets.items():
        inside = times[start]
        assert bucket["coverage"] == {"count": len(inside), "first": inside[0], "last": inside[-1]}, what
    for name, (kind, compute) in KINDS.items():
        wanted = compute([(time, payload[name]) for time, payload in readings if name in payload], window)
        for start, bucket in buckets.items():
            state = bucket["stats"].get(name)
            assert (state is None) == (start not in wanted), (what, name, start, state, wanted.get(start))
            if state is not None:
                assert plain.same(kind, state, wanted[start]), (what, name, start, state, wanted[start])
    return len(buckets)
