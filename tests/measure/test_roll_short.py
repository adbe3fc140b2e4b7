"""Counters that need more samples before a stretch are left out, and added once these are known."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from greenpower.datatype import Kind
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import Spec

BEGIN = datetime(2026, 11, 20, 12, tzinfo=UTC)
NAMES = ("calm", "busy", "faulty")


def test_what_was_left_out_is_as_if_all_had_been_known_at_once() -> None:
    rng = random.Random(3)
    spec = Spec(kinds=dict.fromkeys(NAMES, Kind.COUNTER))
    left_out = 0
    for _ in range(60):
        values = dict.fromkeys(NAMES, 500.0)
        times, payloads = [], []
        for minute in range(-64, 30):
            values["calm"] += rng.uniform(0, 0.1)
            values["busy"] += rng.uniform(0, 1.1)
            values["faulty"] += rng.uniform(0, 0.1)
            shown = dict(values)
            if rng.random() < 0.05:
                shown["faulty"] = 0.0
            times.append(BEGIN + timedelta(minutes=minute))
            payloads.append(shown)

        def rolled(before: int, *, only: frozenset[str] | None = None, leave_short: bool = False) -> Rolled:
            return roll(
                times[64 - before :],  # noqa: B023
                payloads[64 - before :],  # noqa: B023
                begin=BEGIN,
                end=BEGIN + timedelta(minutes=30),
                length=900,
                spec=spec,
                settled_before=BEGIN + timedelta(hours=1),
                stale_after=150,
                slots=True,
                only=only,
                leave_short=leave_short,
            )

        found = rolled(4, leave_short=True)
        short = frozenset(found.short)
        assert all(name not in bucket.stats for bucket in found.buckets for name in short)
        found.add(rolled(64, only=short))
        whole = rolled(64)
        assert {b.start: (b.stats, b.payload, b.holds) for b in found.buckets} == {
            b.start: (b.stats, b.payload, b.holds) for b in whole.buckets
        }
        assert found.slots == whole.slots
        assert found.short <= whole.short
        left_out += len(short)
    assert left_out > 30
