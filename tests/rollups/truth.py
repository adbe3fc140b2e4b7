"""Holding what is in the tiers against the plain recomputation from raw, field by field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import DataType, Kind
from greenpower.measure.windows import ceil
from greenpower.mongo.client import Document
from greenpower.rollups.plan import TierPlan, make_plans
from tests.measure import plain

COMPUTE: dict[Kind, Any] = {Kind.GAUGE: plain.gauge, Kind.ANGLE: plain.angle, Kind.STATE: plain.last}


def check_type(
    db: Database[Document],
    datatype: DataType,
    settings: Settings,
    now: datetime,
    *,
    devices: Sequence[str] | None = None,
) -> int:
    """Check all tiers of a type as far as retention holds them. Returns how many buckets there are.

    devices: only of these; None for all. Raises AssertionError that names the first difference.
    """
    series: dict[str, list[plain.Reading]] = {}
    query = {} if devices is None else {"device_id": {"$in": devices}}
    for document in db[datatype.collection].find(query).sort([("device_id", 1), ("timestamp", 1)]):
        series.setdefault(document["device_id"], []).append((document["timestamp"], document["payload"]))
    return sum(_check_tier(db, plan, series, now, query) for plan in make_plans(datatype, settings))


def _check_tier(
    db: Database[Document], plan: TierPlan, series: dict[str, list[plain.Reading]], now: datetime, query: Document
) -> int:
    kept = ceil(now - timedelta(seconds=plan.ttl), plan.unit)
    found: dict[str, dict[datetime, Document]] = {}
    for bucket in db[plan.collection].find({**query, "timestamp": {"$gte": kept}}):
        found.setdefault(bucket["device_id"], {})[bucket["timestamp"]] = bucket
    checked = 0
    for device, readings in series.items():
        mine = found.pop(device, {})
        if plan.window is None:
            copies = [(time, bucket["payload"]) for time, bucket in sorted(mine.items())]
            assert copies == [(time, payload) for time, payload in readings if time >= kept], (plan.name, device)
        else:
            _check_device(plan, device, mine, readings, plan.window, kept)
            checked += len(mine)
    assert not any(found.values()), f"{plan.name} has buckets of {sorted(found)} that raw has not"
    return checked


def _check_device(
    plan: TierPlan,
    device: str,
    buckets: dict[datetime, Document],
    readings: list[plain.Reading],
    window: int,
    kept: datetime,
) -> None:
    what = (plan.name, device)
    times: dict[datetime, list[datetime]] = {}
    for time, _ in readings:
        times.setdefault(plain.window_of(time, window), []).append(time)
    wanted_starts = {start for start in times if start >= kept}
    assert buckets.keys() == wanted_starts, (what, sorted(buckets.keys() ^ wanted_starts)[:5])
    for start, bucket in buckets.items():
        inside = times[start]
        assert bucket["coverage"] == {"count": len(inside), "first": inside[0], "last": inside[-1]}, (what, start)
    declared = {field.name: field for field in plan.datatype.fields}
    for name in {name for _, payload in readings for name in payload}:
        field = declared.get(name)
        kind = Kind.GAUGE if field is None else field.kind
        samples = [(time, payload[name]) for time, payload in readings if name in payload]
        if field is not None and kind is Kind.COUNTER:
            wanted = plain.counter(samples, window, field.greatest_rate, field.modulus)
        else:
            wanted = COMPUTE[kind](samples, window)
        for start, bucket in buckets.items():
            state = bucket["stats"].get(name)
            assert (state is None) == (start not in wanted), (what, name, start, state, wanted.get(start))
            if state is not None:
                assert plain.same(kind.value, state, wanted[start]), (what, name, start, state, wanted[start])
