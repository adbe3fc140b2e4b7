"""Merging blocks: windows that all have the same fields take a short way, which gives the same to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest

from greenpower.datatype import Kind
from greenpower.measure.gauge import GaugeColumns
from greenpower.measure.held_block import HELD_COLUMNS, HeldBlock, merge_blocks
from greenpower.measure.timing import Seconds, Timing

T0 = datetime(2026, 11, 20, tzinfo=UTC)
FIELDS = {Kind.GAUGE: ("a", "b", "c"), Kind.ANGLE: ("x", "y")}


def block(random: Random, kind: Kind, start: datetime, n: int) -> HeldBlock:
    """So many samples of the fields of a kind, from a time on."""
    gaps = [random.uniform(0, 5) for _ in range(n - 1)]
    series = [[random.uniform(0, 360) for _ in range(n)] for _ in FIELDS[kind]]
    leads = [random.uniform(0, 360) for _ in FIELDS[kind]] if random.random() < 0.7 else None
    make = HELD_COLUMNS[kind]
    columns = make.of_several(series, gaps, leads) if n > 1 else make.of_one([values[0] for values in series], leads)
    last = start + timedelta(seconds=sum(gaps))
    until = None if leads is None else start
    return HeldBlock(kind, FIELDS[kind], Timing(n, start, last, sum(gaps), random.uniform(1, 20), until), columns)


def apart(whole: HeldBlock) -> list[HeldBlock]:
    """The same samples, in a block for each field."""
    return [whole.select([name]) for name in whole.names]


def values_of(blocks: Sequence[HeldBlock]) -> dict[tuple[Kind, str], object]:
    """All that is known of each field."""
    return {
        (part.kind, part.names[0]): (part.timing, part.columns) for whole in blocks for part in map(one, apart(whole))
    }


def one(part: HeldBlock) -> HeldBlock:
    """With its columns as lists, however they are held."""
    names = part.columns.__slots__
    columns = {name: None if (column := getattr(part.columns, name)) is None else list(column) for name in names}
    return HeldBlock(part.kind, part.names, part.timing, type(part.columns)(**columns))


@pytest.mark.parametrize("seed", range(40))
def test_windows_with_the_same_fields_merge_to_the_same_bits(seed: int) -> None:
    random = Random(seed)
    kinds = random.choice([[Kind.GAUGE], [Kind.ANGLE], [Kind.GAUGE, Kind.ANGLE]])
    windows = [
        [block(random, kind, T0 + timedelta(minutes=minute), random.choice([1, 1, 2, 5])) for kind in kinds]
        for minute in range(random.randint(1, 12))
    ]
    # One window whose fields are in blocks of their own: no two windows are alike then.
    mixed = [[part for whole in windows[0] for part in apart(whole)], *windows[1:]]
    assert values_of(merge_blocks(windows)) == values_of(merge_blocks(mixed))


@pytest.mark.parametrize("seed", range(20))
def test_the_mean_of_one_sample_and_the_one_before_is_between_them(seed: int) -> None:
    random = Random(seed)
    leads = [random.choice([random.uniform(-1e3, 1e3), 1e308, -1e308, 7]) for _ in range(50)]
    values = [random.choice([lead, random.uniform(-1e3, 1e3), 1e308, 7]) for lead in leads]
    before, after = random.uniform(0.001, 60), random.uniform(0, 60)
    found = GaugeColumns.of_one(values, leads).values(1, Seconds(before, 0.0, after))
    for lead, value, mean in zip(leads, values, found, strict=True):
        low, high = sorted((lead, value))
        exact = (lead * before + value * after) / (before + 0.0 + after)
        assert mean == (value if value == lead else exact if low <= exact <= high else low if exact < low else high)


def test_means_go_from_lead_to_value() -> None:
    pairs = list(pairwise([1.0, 3.0, 2.0]))
    leads, values = zip(*pairs, strict=True)
    assert GaugeColumns.of_one(values, leads).values(1, Seconds(30.0, 0.0, 30.0)) == [2.0, 2.5]
