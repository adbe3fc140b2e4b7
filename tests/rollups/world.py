"""A small world to roll up: two data types, readings stored as ingest stores them, a clock, and the plain truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import ENERGY_TIERS, STANDARD_TIERS, DataType, Field, Kind, Mqtt, Tier, json_parser
from greenpower.measure.windows import late_before
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import now, run_tier
from greenpower.rollups.tier_run import Clock, Counts
from tests.rollups.truth import check_type

RATE = 2_000.0


def run_all(
    db: Database[Document], datatypes: Iterable[DataType], settings: Settings, *, clock: Clock = now
) -> dict[str, Counts]:
    """Bring all tiers up to date, each type's finest first. Returns what was done by tier's name."""
    return {
        plan.name: run_tier(db, plan, settings, clock=clock)
        for datatype in datatypes
        for plan in make_plans(datatype, settings)
    }


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
#: deltas and enumerations, which devices of other kinds do not send
USAGE = DataType(
    name="usage",
    title="usage",
    collection="usage_data",
    match=(Mqtt("usage"),),
    fields=(
        Field("used", unit="kWh", kind=Kind.DELTA, greatest_rate=RATE),
        Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "off", 1: "on", 7: "fault"}),
        Field("faults", unit="1", kind=Kind.ENUMERATION, codes={0: "fan", 2: "door"}, bits=True),
    ),
    parse=json_parser(device="id", time="time"),
    tiers=STANDARD_TIERS,
)
ENERGY = data_type("energy", ENERGY_TIERS)


class World:
    """A database, a clock, and what ingest and the jobs do with them."""

    def __init__(self, db: Database[Document], settings: Settings, now: datetime) -> None:
        self.db = db
        self.settings = settings
        self.now = now

    def clock(self) -> datetime:
        return self.now

    def store(self, datatype: DataType, device: str, readings: Iterable[tuple[datetime, Mapping[str, Any]]]) -> None:
        """Store readings as ingest does: merged into what is there, invalidated where they are late by the clock."""
        raw = self.db[datatype.collection]
        documents: list[Document] = []
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
        if documents:
            raw.insert_many(documents)
        self.invalidate_late(datatype, device, [document["timestamp"] for document in documents])

    def invalidate_late(self, datatype: DataType, device: str, times: Iterable[datetime]) -> None:
        """Invalidate what is late by the clock, as ingest does."""
        late = late_before(self.now, datatype.tiers[0].window)
        prefix = datatype.tiers[0].prefix
        invalidate(
            self.db[INVALIDATIONS], {Place.of(datatype.name, prefix, device, time) for time in times if time < late}
        )

    def run(self, *datatypes: DataType) -> dict[str, Counts]:
        """One run of each tier."""
        return run_all(self.db, datatypes or (POWER, ENERGY), self.settings, clock=self.clock)

    def check(self, datatype: DataType, devices: Sequence[str] | None = None) -> int:
        """Hold every bucket that retention still holds against the plain recomputation. Returns how many there are.

        devices: only of these.
        """
        return check_type(self.db, datatype, self.settings, self.now, devices=devices)
