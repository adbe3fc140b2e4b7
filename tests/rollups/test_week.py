"""A week of simulated data with every fault, rolled up as it comes, against the plain recomputation."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ensure_indexes
from tests.every_kind import EVERY_KIND
from tests.rollups.conftest import T0
from tests.rollups.world import World

MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)
RUN_EVERY = timedelta(hours=8)
# Type, devices, minutes between readings, fields that a reading has.
FLEET = (
    ("eny_now", 2, 15, ("zygsz", "fygsz", "zwgsz", "dmpmax", "dmpmaxoct", "uathd")),
    ("rt", 2, 10, ("ua", "zyggl", "uxja", "ixja", "f")),
    ("solar", 1, 10, ("active_energy_delivered", "active_energy_received", "current_a")),
    ("environment", 1, 10, ("temp_1_c", "hum_percent")),
    ("generator", 1, 10, ("1", "2")),
    (
        EVERY_KIND.name,
        1,
        15,
        ("power", "bearing", "imported", "netted", "today", "used", "setpoint", "mode", "faults"),
    ),
)


class Device:
    """A device over a week: registers that rise, dip, are reset and spike; gaps, duplicates, split and late packets."""

    def __init__(self, datatype: DataType, number: int, minutes: int, names: tuple[str, ...], zone: tzinfo) -> None:
        self.datatype = datatype
        self.zone = zone
        self.day: date | None = None
        self.name = f"{datatype.name}-{number}"
        self.rng = random.Random(self.name)
        self.minutes = minutes
        self.fields = {field.name: field for field in datatype.fields if field.name in names} or dict.fromkeys(names)
        self.registers: dict[str, float] = {}

    def packets(self) -> list[tuple[datetime, datetime, dict[str, Any]]]:
        """(time of arrival, timestamp, payload) of all that it sends."""
        rng = self.rng
        sent = []
        time = T0 + timedelta(seconds=rng.randrange(600))
        held_until = T0
        while time < T0 + WEEK:
            payload = self.payload(time)
            arrival = time + timedelta(seconds=rng.uniform(0.2, 3))
            if rng.random() < 0.002:  # an outage: what was measured comes in one go afterwards
                held_until = time + timedelta(hours=rng.uniform(1, 30))
            if time < held_until:
                arrival = held_until + timedelta(seconds=rng.uniform(0, 60))
            if rng.random() < 0.01:
                arrival += timedelta(minutes=rng.expovariate(1 / 90))
            names = list(payload)
            if rng.random() < 0.2 and len(names) > 1:
                cut = rng.randrange(1, len(names))
                late = timedelta(seconds=rng.choice([1, 90, 4_000]))
                sent.append((arrival, time, {name: payload[name] for name in names[:cut]}))
                if rng.random() < 0.95:  # a packet may never come
                    sent.append((arrival + late, time, {name: payload[name] for name in names[cut:]}))
            else:
                sent.append((arrival, time, payload))
            if rng.random() < 0.05:
                sent.append((arrival + timedelta(seconds=1), time, payload))
            time += MINUTE * self.minutes * (1 if rng.random() < 0.98 else rng.randrange(2, 40))
        return sent

    def payload(self, time: datetime) -> dict[str, Any]:
        rng = self.rng
        glitch = rng.random()
        payload: dict[str, Any] = {}
        for name, field in self.fields.items():
            if field is not None and field.kind == "counter":
                value = self.registers.get(name, rng.uniform(0, 50_000)) + rng.uniform(0, 9)
                if rng.random() < 0.002:
                    value = rng.uniform(0, 2)
                self.registers[name] = value = round(value, 3)
                if glitch < 0.01:
                    value = 0
                elif glitch < 0.014:
                    value = round(value + 4e8, 3)
                payload[name] = int(value) if field.unit == "Wh" else value
            elif field is not None and field.kind == "net":
                value = self.registers.get(name, rng.uniform(0, 50_000)) + rng.uniform(-4, 4)
                self.registers[name] = value = round(value, 3)
                payload[name] = 0 if glitch < 0.01 else value
            elif field is not None and field.kind == "daily":
                day = time.astimezone(self.zone).date()
                begun = self.registers[name] if self.day == day else 0.0
                self.day, self.registers[name] = day, round(begun + rng.uniform(0, 2), 3)
                payload[name] = 0 if glitch < 0.01 else self.registers[name]
            elif field is not None and field.kind == "delta":
                payload[name] = 9e6 if glitch < 0.002 else round(rng.uniform(0, 2), 3)
            elif field is not None and field.kind == "enumeration":
                payload[name] = rng.choice([*field.codes, 3, 1, 1])
            elif field is not None and field.kind == "angle":
                payload[name] = round(rng.gauss(0, 20) % 360, 2)
            elif field is not None and field.kind == "state":
                payload[name] = rng.randrange(2**31)
            else:
                payload[name] = round(rng.gauss(0, 30), 3)
        return payload


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_week_with_faults_equals_the_plain_recomputation(world: World) -> None:
    """All five types, one with a field of every kind, and their tiers; runs every few hours, the clock set by hand."""
    types = [EVERY_KIND if name == EVERY_KIND.name else get_registry()[name] for name, *_ in FLEET]
    ensure_indexes(world.db, types, world.settings)
    queue: list[tuple[datetime, Device, datetime, dict[str, Any]]] = []
    for datatype, (_, count, minutes, names) in zip(types, FLEET, strict=True):
        for number in range(count):
            device = Device(datatype, number, minutes, names, world.settings.device_zone)
            queue += ((arrival, device, time, payload) for arrival, time, payload in device.packets())
    queue.sort(key=lambda packet: packet[0])
    world.now = T0
    begin = 0
    while begin < len(queue):
        until = world.now + RUN_EVERY
        end = begin
        while end < len(queue) and queue[end][0] < until:
            end += 1
        for arrival, device, time, payload in queue[begin:end]:
            world.now = arrival
            _store(world, device, time, payload)
        begin = end
        world.now = until
        world.run(*types)
    world.now = max(world.now, T0 + WEEK) + timedelta(hours=13)
    world.run(*types)
    buckets = {datatype.name: world.check(datatype) for datatype in types}
    assert all(buckets.values()), buckets
    found: set[str] = set(world.db.counter_incidents.distinct("incident"))
    assert found >= {"dip", "reset", "spike"}
    for datatype in types:
        assert world.db[datatype.collections[-1]].count_documents({"final": False}) <= 3


def _store(world: World, device: Device, time: datetime, payload: Document) -> None:
    """As ingest does: a packet of a reading that is there adds its keys."""
    raw = world.db[device.datatype.collection]
    time = time.replace(microsecond=0)
    found = raw.find_one({"device_id": device.name, "timestamp": time}, {"payload": 1})
    if found is None:
        world.store(device.datatype, device.name, [(time, payload)])
        return
    merged = {**payload, **found["payload"]}
    raw.update_one({"_id": found["_id"]}, {"$set": {"payload": merged, "updated_at": world.now}})
    world.invalidate_late(device.datatype, device.name, [time])
