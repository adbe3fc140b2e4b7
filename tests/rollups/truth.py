"""Holding what is in the tiers against the plain recomputation from raw, field by field."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any

from pymongo.database import Database

from greenpower.catalog.facts import ledger_tier
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Kind
from greenpower.measure.bucket import statistics_of
from greenpower.measure.slot import COUNTS_PER_UNIT
from greenpower.measure.windows import ceil
from greenpower.mongo.client import Document
from greenpower.mongo.energy.slot_columns import SLOTS_PER_DAY, SlotColumns
from greenpower.mongo.rollups.watermarks import read_progress
from greenpower.mongo.schema.layout import INTERVALS, WATERMARKS
from greenpower.rollups.plan import TierPlan, make_plans
from tests.measure import plain
from tests.measure.plain_counter import count
from tests.measure.plain_mean import PlainMean, PlainSegments, limits
from tests.measure.plain_series import PlainMeter
from tests.measure.rolled import states

FLOORS = {"kWh": 50, "kvarh": 50, "kVAh": 50, "Wh": 50_000}
QUARTER = timedelta(minutes=15)
REGISTERS = (Kind.COUNTER, Kind.NET, Kind.DAILY)
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
    zone = settings.device_zone
    checked = sum(_check_tier(db, plan, series, now, query, zone) for plan in make_plans(datatype, settings))
    _check_ledger(db, datatype, series, query, zone)
    return checked


def _check_ledger(
    db: Database[Document], datatype: DataType, series: dict[str, list[plain.Reading]], query: Document, zone: tzinfo
) -> None:
    """Check every quarter-hour up to the ledger's watermark, and that days add up to the same in their months."""
    if ledger_tier(datatype) is None:
        return
    end = read_progress(db[WATERMARKS], datatype.name, INTERVALS).watermark
    found: dict[tuple[str, str], dict[datetime, SlotColumns]] = {}
    for document in db[INTERVALS].find({**query, "type": datatype.name}):
        place = (document["device_id"], document["field"])
        found.setdefault(place, {})[document["day"]] = SlotColumns.unpack(document["slots"], SLOTS_PER_DAY)
    for device, readings in series.items():
        for field in datatype.fields:
            samples = [(time, payload[field.name]) for time, payload in readings if field.name in payload]
            if field.kind.has_energy and samples:
                what, days = (datatype.name, device, field.name), found.pop((device, field.name), {})
                if end is not None and field.kind is Kind.DELTA:
                    _check_slots_of_delta(what, days, samples, field, end)
                elif end is not None:
                    _check_slots(what, days, samples, _meter(field, datatype.stale_after, zone), end)
    assert not any(not columns.is_empty for days in found.values() for columns in days.values()), sorted(found)


def _meter(field: Field, stale_after: int, zone: tzinfo) -> PlainMeter:
    return PlainMeter(
        rate=field.greatest_rate,
        modulus=field.modulus,
        floor=FLOORS.get(field.unit),
        stale_after=stale_after,
        kind=field.kind.value,
        zone=zone,
    )


def _check_slots(
    what: Any,
    days: dict[datetime, SlotColumns],
    samples: list[plain.Sample],
    meter: PlainMeter,
    end: datetime,
) -> None:
    counted = count(samples, meter)
    wanted: dict[datetime, tuple[int, int, int]] = {}
    for start in sorted({plain.window_of(time, 900) for time, _ in samples}):
        if start < end:
            n = counted.samples(start, start + QUARTER)
            wanted[start] = (counted.energy(start, start + QUARTER) or 0, n, counted.silence(start, start + QUARTER))
    got = {
        day + index * QUARTER: (columns.energy[index], columns.n[index], columns.silence[index])
        for day, columns in days.items()
        for index in range(96)
        if columns.n[index] or columns.energy[index] or columns.silence[index]
    }
    wanted = {start: slot for start, slot in wanted.items() if any(slot)}
    assert got == wanted, (what, sorted(got.items() ^ wanted.items())[:6])


def _check_slots_of_delta(
    what: Any, days: dict[datetime, SlotColumns], samples: list[plain.Sample], field: Field, end: datetime
) -> None:
    """Energy and samples of each quarter-hour. Silences are in `tests.measure.test_delta`."""
    wanted = {
        start: (round(state["total"] * COUNTS_PER_UNIT), state["n"])
        for start, state in plain.delta(samples, 900, field.greatest_rate).items()
        if start < end
    }
    got = {
        day + index * QUARTER: (columns.energy[index], columns.n[index])
        for day, columns in days.items()
        for index in range(96)
        if columns.n[index] or columns.energy[index]
    }
    assert got == wanted, (what, sorted(got.items() ^ wanted.items())[:6])


def _codes_of(field: Field) -> Callable[[plain.Number], list[int]]:
    """The codes that a value of an enumeration holds."""

    def codes(value: plain.Number) -> list[int]:
        if field.bits:
            return [bit for bit in field.codes if int(value) // 2**bit % 2]
        return [int(value)] if value in field.codes else []

    return codes


def _check_tier(
    db: Database[Document],
    plan: TierPlan,
    series: dict[str, list[plain.Reading]],
    now: datetime,
    query: Document,
    zone: tzinfo,
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
            _check_device(plan, device, mine, readings, plan.window, kept, zone)
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
    zone: tzinfo,
) -> None:
    what = (plan.name, device)
    times: dict[datetime, list[datetime]] = {}
    for time, _ in readings:
        times.setdefault(plain.window_of(time, window), []).append(time)
    wanted_starts = {start for start in times if start >= kept}
    assert buckets.keys() == wanted_starts, (what, sorted(buckets.keys() ^ wanted_starts)[:5])
    longest = limits([time for time, _ in readings], plan.datatype.stale_after)
    covered = PlainSegments([(time, 1) for time, _ in readings], longest)
    for start, bucket in buckets.items():
        inside = times[start]
        coverage = bucket["coverage"]["count"], bucket["coverage"]["first"], bucket["coverage"]["last"]
        assert coverage == (len(inside), inside[0], inside[-1]), (what, start)
        _check_mean((*what, start), bucket, "", covered, window)
    declared = {field.name: field for field in plan.datatype.fields}
    for name in {name for _, payload in readings for name in payload}:
        field = declared.get(name)
        kind = Kind.GAUGE if field is None else field.kind
        samples = [(time, payload[name]) for time, payload in readings if name in payload]
        if field is not None and kind in REGISTERS:
            floor = FLOORS.get(field.unit)
            known: dict[str, Any] = {"floor": floor, "kind": kind.value, "zone": zone}
            wanted = plain.counter(samples, window, field.greatest_rate, field.modulus, **known)
        elif field is not None and kind is Kind.DELTA:
            wanted = plain.delta(samples, window, field.greatest_rate)
        elif field is not None and kind is Kind.ENUMERATION:
            wanted = plain.enumeration(samples, window, _codes_of(field), longest)
        else:
            wanted = COMPUTE[kind](samples, window)
        segments = PlainSegments(samples, longest) if kind in (Kind.GAUGE, Kind.ANGLE) else None
        for start, bucket in buckets.items():
            state = states(bucket).get(name)
            assert (state is None) == (start not in wanted), (what, name, start, state, wanted.get(start))
            if state is not None:
                same_as = "counter" if kind in REGISTERS else kind.value
                assert plain.same(same_as, state, wanted[start]), (what, name, start, state, wanted[start])
                if segments is not None:
                    _check_mean((*what, start), bucket, name, segments, window, angle=kind is Kind.ANGLE)


def _check_mean(
    what: Any, bucket: Document, name: str, segments: PlainSegments, window: int, *, angle: bool = False
) -> None:
    """The mean over time of a field, or (without a name) what its readings cover: of a window that is over, to its end;
    of one that is not, to its last sample."""
    start, end = bucket["timestamp"], bucket["timestamp"] + timedelta(seconds=window)
    seconds, value = bucket["coverage"]["seconds"], None
    if name:
        seconds, value = statistics_of(bucket)[name]["seconds"], bucket["payload"].get(name)
    wanted = [segments.mean(start, end, over=over) for over in ((True,) if bucket["final"] else (True, False))]
    assert any(
        abs(seconds - float(one.seconds)) < 1e-3 and (not name or _is_mean(value, one, angle=angle)) for one in wanted
    ), (what, name, seconds, value, wanted)


def _is_mean(value: Any, wanted: PlainMean, *, angle: bool) -> bool:
    if wanted.mean is None:
        return True
    if angle:
        direction = wanted.direction
        return direction is None or abs((value - direction + 180) % 360 - 180) < 1e-3
    return abs(Fraction(value) - wanted.mean) * wanted.seconds <= Fraction(1e-9) * (1 + wanted.size)
