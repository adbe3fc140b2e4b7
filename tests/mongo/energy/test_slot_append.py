"""Appending to the packed columns of a day gives what putting the parts one by one gives, or nothing."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.measure.slot import QuarterSlots, QuarterTimes, Slot
from greenpower.mongo.energy.day_total import DayTotal
from greenpower.mongo.energy.ledger_part import QUARTER, DayPart, LedgerDay
from greenpower.mongo.energy.slot_append import append
from greenpower.mongo.energy.slot_columns import LARGEST_ENERGY

DAY = datetime(2026, 11, 20, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def columns_of(rng: random.Random, begin: int, end: int) -> QuarterSlots:
    places = list(range(rng.randint(begin, end - 1), end))
    if rng.random() < 0.3:
        places = sorted(rng.sample(places, rng.randint(1, len(places))))
    starts = [DAY + place * QUARTER for place in places]
    times = QuarterTimes(
        starts,
        [rng.randint(1, 900) for _ in places],
        [start + timedelta(seconds=rng.uniform(0, 899)) for start in starts],
    )
    most = LARGEST_ENERGY + 1 if rng.random() < 0.05 else 10**9
    return QuarterSlots(
        times, [rng.choice([0, most, -most, 7]) for _ in places], [rng.choice([0, 12, 12.5]) for _ in places]
    )


def part_of(rng: random.Random, begin: int, end: int) -> DayPart:
    if rng.random() < 0.5:
        return DayPart(begin, end, columns_of(rng, begin, end), {}, None)
    slots = []
    for place in sorted(rng.sample(range(begin, end), rng.randint(0, end - begin))):
        start = DAY + place * QUARTER
        sampled = rng.random() < 0.9
        slots.append(
            Slot(
                start=start,
                energy=rng.choice([0, rng.randint(-(10**9), 10**9), LARGEST_ENERGY + 1 if rng.random() < 0.05 else 7]),
                n=rng.randint(1, 900) if sampled else 0,
                silence_s=rng.choice([0, 0, 2_000, 2**40]),
                flags=rng.choice([0, 0, 1, 2, 5]),
                last=rng.choice([0, 12, 12.5]) if sampled else None,
                last_at=start + timedelta(seconds=rng.uniform(0, 899)) if sampled else None,
            )
        )
    return DayPart(begin, end, slots, {}, None)


def put(document: dict[str, Any] | None, part: DayPart) -> dict[str, Any] | None:
    day = LedgerDay.read(DAY, document)
    day.put(part)
    total = DayTotal.of(day)
    return None if total is None else day.document(total.slots, NOW)


def test_what_is_appended_is_what_would_be_put() -> None:
    rng, appended = random.Random(4), 0
    for _ in range(300):
        document: dict[str, Any] | None = None
        here = rng.randint(0, 20)
        while here < 96:
            begin = max(0, here - rng.choice([0, 0, 2, 6]))
            end = min(96, here + rng.choice([1, 2, 4, 30]))
            part = part_of(rng, begin, end)
            expected = put(document, part)
            changed = append(DAY, document, part, NOW)
            if changed is not None:
                appended += 1
                assert list(changed.items()) == list((expected or {}).items())
            whole = None if expected is None else DayTotal.of(LedgerDay.read(DAY, expected))
            assert DayTotal.of_document(expected) == whole
            document, here = expected, end + rng.choice([0, 0, 3])
    assert appended > 500


def test_the_middle_of_a_day_and_estimates_and_falls_are_left_to_the_other_way() -> None:
    whole = DayPart(
        0, 8, [Slot(DAY + place * QUARTER, 5, 1, 0, 0, 1.0, DAY + place * QUARTER) for place in range(8)], {}, None
    )
    document = append(DAY, None, whole, NOW)
    assert document is not None
    middle = DayPart(2, 4, whole.slots[2:4], {}, None)
    assert append(DAY, document, middle, NOW) is None
    end = DayPart(6, 8, whole.slots[6:], {}, None)
    assert append(DAY, document, end, NOW) == document
    assert append(DAY, {**document, "resolution": 1800}, end, NOW) is None
    assert append(DAY, {**document, "holds": [{"slot": 3, "hold": {}}]}, end, NOW) is None
    assert append(DAY, document, DayPart(6, 8, end.slots, {DAY + 8 * QUARTER: {}}, None), NOW) is None
    assert append(DAY, document, DayPart(6, 8, end.slots, {}, 1800), NOW) is None
    assert append(DAY, document, DayPart(8, 10, (), {}, None), NOW) is None
    delta = [Slot(DAY + place * QUARTER, 5, 1, 0, 0, None, DAY + place * QUARTER) for place in (6, 7)]
    assert append(DAY, document, DayPart(6, 8, delta, {}, None), NOW) is None
    assert append(DAY, document, DayPart(6, 8, [delta[0], whole.slots[7]], {}, None), NOW) is None
