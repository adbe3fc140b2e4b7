"""Device ranges: they are in documents, so a device is in the same one for ever."""

from __future__ import annotations

from collections import Counter

import pytest

from greenpower.mongo.rollups.ranges import ALL_RANGES, devices_in, keys_of, name_ranges, range_of


@pytest.mark.parametrize(
    ("device", "number"),
    [("", 14), ("d0", 0), ("d1", 8), ("d2", 14), ("d3", 15), ("33B1200000000", 15), ("\u00e9", 4)],
)
def test_a_device_is_in_its_range_for_ever(device: str, number: int) -> None:
    assert range_of(device) == number


@pytest.mark.parametrize("form", ["33B12{:08d}", "meter-{}", "d{}", "{:x}"])
def test_devices_are_spread_over_all_ranges(form: str) -> None:
    counted = Counter(range_of(form.format(number)) for number in range(4_000))
    assert counted.keys() == ALL_RANGES
    assert min(counted.values()) > 150 and max(counted.values()) < 350


def test_ranges_are_written_as_people_read_them() -> None:
    assert name_ranges(frozenset((0, 1, 2, 3, 7, 10, 11))) == "0-3, 7, a-b"
    assert name_ranges(ALL_RANGES) == "0-f"
    assert keys_of(frozenset((15, 2))) == ["2", "f"]
    devices = [f"d{number}" for number in range(50)]
    halves = [devices_in(devices, frozenset(half)) for half in (range(8), range(8, 16))]
    assert sorted(halves[0] + halves[1]) == sorted(devices) and all(halves)
    assert devices_in(devices, ALL_RANGES) == devices
