"""Registers that are wrong: what each fault does to a day of a meter, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.datatype import Kind
from greenpower.simulator.device import SimulatedDevice, make_devices
from greenpower.simulator.gateway import make_gateways
from greenpower.simulator.register_fault import REGISTER_FAULTS, misread
from tests.simulator.sample import NIGHT, ZONE

METER, GATEWAY = get_registry()["eny_now"], get_registry()["solar"]
REGISTER = "pos_en_a"
STEP = timedelta(minutes=5)
TIMES = [NIGHT + number * STEP for number in range(288)]


@pytest.fixture
def device() -> SimulatedDevice:
    return make_devices(METER, 2, 3, ZONE)[1]


def day(device: SimulatedDevice, *faults: str) -> list[Mapping[str, float]]:
    return [misread(METER, device.device_id, at, device.measure, set(faults))[0] for at in TIMES]


def falls(values: list[Mapping[str, float]], register: str = REGISTER) -> list[tuple[float, float]]:
    shown = [value[register] for value in values]
    return [(before, after) for before, after in pairwise(shown) if after < before]


def test_no_fault_changes_nothing(device: SimulatedDevice) -> None:
    assert day(device) == [device.measure(at) for at in TIMES]


@pytest.mark.parametrize("fault", REGISTER_FAULTS)
def test_only_registers_are_wrong_and_the_same_way_again(device: SimulatedDevice, fault: str) -> None:
    good, bad = day(device), day(device, fault)
    assert bad != good and bad == day(device, fault)
    others = [field.name for field in METER.fields if field.kind is not Kind.COUNTER and field.name in good[0]]
    assert others and all(one[name] == other[name] for one, other in zip(good, bad, strict=True) for name in others)
    assert all(value >= 0 for values in bad for value in values.values())


def test_registers_read_zero_for_an_hour_in_six(device: SimulatedDevice) -> None:
    bad = day(device, "zeros")
    assert [value[REGISTER] for value in bad].count(0) in range(47, 50)
    # A frame whose anchor is 0 would be taken for a zero frame.
    assert all(value[anchor] > 0 for value in bad for anchor in METER.anchors)


def test_a_small_fall_is_small_and_nothing_comes_back(device: SimulatedDevice) -> None:
    found = falls(day(device, "falls"))
    assert len(found) == 4 and all(after > 0.9 * before for before, after in found)
    shown = [value[REGISTER] for value in day(device, "falls")]
    good = [value[REGISTER] for value in day(device)]
    rises = [(before, after) for before, after in pairwise(shown) if after > before]
    assert max(after - before for before, after in rises) <= max(b - a for a, b in pairwise(good)) * 1.2


def test_another_meter_counts_on_from_another_value(device: SimulatedDevice) -> None:
    shown = [value[REGISTER] for value in day(device, "meter")]
    usual = max(after - before for before, after in pairwise([value[REGISTER] for value in day(device)]))
    jumps = [after - before for before, after in pairwise(shown) if not -1e-6 <= after - before <= usual * 1.01]
    assert len(jumps) == 4


@pytest.mark.parametrize("fault", REGISTER_FAULTS)
def test_the_meter_behind_a_gateway_is_wrong_too(fault: str) -> None:
    gateway = make_gateways(GATEWAY, 1, 0, ZONE)[0]

    def answers(faults: set[str]) -> list[bytes]:
        return [gateway.answer(request.encoded, at, faults) for at in TIMES[::6] for request in gateway.poll.requests]

    assert answers({fault}) != answers(set())
    assert gateway.answer(gateway.poll.requests[0].encoded, NIGHT, {"drop"}) == gateway.answer(
        gateway.poll.requests[0].encoded, NIGHT
    )


def test_registers_of_a_time_before_the_first_fault_are_right(device: SimulatedDevice) -> None:
    early = datetime(2025, 6, 1, 12, tzinfo=ZONE)
    values, _ = misread(METER, device.device_id, early, device.measure, {"falls"})
    assert values == device.measure(early)
