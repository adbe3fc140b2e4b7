"""Meter points: their parts, how they lie in one another, and sums of amounts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.amount import UNIT, Amount, per_count, sum_beside, sum_next
from greenpower.energy.demand import demands, intervals, peak, running
from greenpower.energy.point import Point, PointError, PointPart, check_parent
from greenpower.energy.site import EnergySite

T = datetime(2026, 3, 1, tzinfo=UTC)


def part(begin: int | None = None, end: int | None = None, device: str = "d") -> PointPart:
    times = [None if hours is None else T + timedelta(hours=hours) for hours in (begin, end)]
    return PointPart(type="t", device_id=device, field="c", begins_at=times[0], ends_at=times[1])


def point(number: int, parent: int | None = None, carrier: Carrier = Carrier.ELECTRICITY) -> Point:
    return Point(number=number, name=f"p{number}", carrier=carrier, role=PointRole.LOAD, parts=(), parent=parent)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (part(), part(), True),
        (part(None, 5), part(5, None), False),
        (part(None, 5), part(4, None), True),
        (part(5, None), part(None, 5), False),
        (part(1, 2), part(3, 4), False),
        (part(1, 4), part(2, 3), True),
        (part(), part(device="e"), False),
    ],
)
def test_a_counter_counts_once_at_a_time(one: PointPart, other: PointPart, overlap: bool) -> None:
    assert one.overlaps(other) == other.overlaps(one) == overlap
    assert PointPart.read(one.stored()) == one


def test_a_point_lies_below_one_of_its_carrier_and_not_too_deep() -> None:
    points = [point(1), point(2, 1), point(3, 2), point(9, carrier=Carrier.GAS)]
    check_parent(None, 3, Carrier.ELECTRICITY, points)
    for number, parent, said in (
        (1, 3, "below itself"),
        (2, 2, "below itself"),
        (None, 9, "measures gas"),
        (1, 7, "no meter"),
    ):
        with pytest.raises(PointError, match=said):
            check_parent(number, parent, Carrier.ELECTRICITY, points)
    deep = [point(number, number - 1 or None) for number in range(1, 11)]
    with pytest.raises(PointError, match="at most 10 deep"):
        check_parent(None, 10, Carrier.ELECTRICITY, deep)


def test_the_topmost_of_some_points_even_in_a_circle() -> None:
    """A circle cannot be made over the API; an answer must end even then."""
    points = [point(1), point(2, 1), point(3, 2), point(4, 5), point(5, 4)]
    site = EnergySite(points={item.number: item for item in points}, zones={}, zone_names={}, tariffs={})
    assert [item.number for item in site.top([points[1], points[2]])] == [2]
    assert [item.number for item in site.top([points[2], points[0]])] == [1]
    assert [item.number for item in site.above(points[3])] == [5]


def test_zones_lie_in_zones() -> None:
    site = EnergySite(points={}, zones={1: None, 2: 1, 3: 2, 4: None}, zone_names={}, tariffs={})
    assert site.zone_and_below(1) == {1, 2, 3} and site.zone_and_below(4) == {4}


amounts = st.builds(
    Amount,
    energy=st.integers(-(10**15), 10**15),
    counted=st.booleans(),
    covered_s=st.just(900.0),
    passed_s=st.just(900.0),
    silence_s=st.integers(0, 10**6),
    final=st.booleans(),
)


@given(st.lists(amounts, max_size=8), st.integers(0, 8))
def test_sums_do_not_depend_on_how_they_are_made(several: list[Amount], cut: int) -> None:
    for join in (sum_next, sum_beside):
        whole, parts = join(several), join([join(several[:cut]), join(several[cut:])])
        assert (whole.energy, whole.counted, whole.final, whole.silence_s) == (
            parts.energy, parts.counted, parts.final, parts.silence_s,
        )  # fmt: skip
        assert whole.energy == sum(amount.energy for amount in several)


def test_units_add_up_exactly() -> None:
    assert [per_count(unit, "kWh") for unit in ("Wh", "kWh", "MWh", "L", "kvarh")] == [1, 1000, 10**6, None, None]
    assert [per_count(unit, "m³") for unit in ("L", "m³", "kWh")] == [1, 1000, None]


def test_a_meter_that_comes_back_makes_no_peak() -> None:
    times = intervals(T, T + timedelta(hours=1), 15)
    quarter = [Amount(energy=UNIT, counted=True) for _ in range(4)]
    quarter[1] = Amount()
    quarter[2] = Amount(energy=40 * UNIT, counted=True, silence_s=36_000)
    found = list(demands(times, quarter, 15))
    assert [float(item.power) for item in found] == [4, 4, 4] and [item.averaged for item in found] == [0, 1, 0]
    highest = peak(found)
    assert highest is not None and highest.begin == T
    assert peak([]) is None


def test_the_running_interval_goes_on_as_it_did() -> None:
    now = running(T, T + timedelta(minutes=15), Amount(energy=UNIT, counted=True), T + timedelta(minutes=5))
    assert now.forecast == 12
    assert running(T, T + timedelta(minutes=15), Amount(), None).forecast is None
