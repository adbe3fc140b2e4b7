"""Values are those of a feeder: they agree with each other and follow the day."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from math import sqrt

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.datatype import Field, Kind
from greenpower.simulator.device import SimulatedDevice, make_devices
from greenpower.simulator.feeder import INSTALLED
from greenpower.simulator.value import Measured
from tests.simulator.sample import EVENING, NIGHT, ZONE

DAY = 86_400


def meter(number: int = 1) -> SimulatedDevice:
    return make_devices(get_registry()["rt"], number + 1, 5, ZONE)[number]


def test_power_is_voltage_times_current_times_factor() -> None:
    for step in range(50):
        values = meter().sample(EVENING + timedelta(minutes=31 * step)).values
        for phase in "abc":
            u, i, p, q, s, pf = (values[name + phase] for name in ("u", "i", "p", "q", "s", "pf"))
            assert p == pytest.approx(u * i * pf / 1000)
            assert s == pytest.approx(sqrt(p * p + q * q))
            assert 0.85 < pf <= 1
        assert values["zyggl"] == pytest.approx(values["pa"] + values["pb"] + values["pc"])
        assert values["zszgl"] == pytest.approx(values["sa"] + values["sb"] + values["sc"])


def test_grid_values_stay_near_nominal_and_balanced() -> None:
    for step in range(100):
        values = meter().sample(EVENING + timedelta(minutes=17 * step)).values
        assert all(220 < values[name] < 240 for name in ("ua", "ub", "uc"))
        assert all(385 < values[name] < 415 for name in ("uab", "ubc", "uca"))
        assert 49.9 < values["f"] < 50.1
        assert values["unb"] < 3
        assert max(values[n] for n in ("ia", "ib", "ic")) < 1.3 * min(values[n] for n in ("ia", "ib", "ic"))


def test_current_angles_lie_near_their_voltages_and_wrap() -> None:
    seen = []
    for number in range(6):
        values = make_devices(get_registry()["rt"], 6, 5, ZONE)[number].sample(EVENING).values
        if "ixja" in values:
            seen.append(values["ixja"])
            assert abs((values["ixja"] - values["uxja"] + 180) % 360 - 180) < 30
            assert abs((values["uxjb"] - 240 + 180) % 360 - 180) < 1
    assert all(0 <= angle < 360 for angle in seen)
    assert max(seen) > 330


def test_load_follows_the_local_day() -> None:
    assert meter().sample(EVENING).values["zyggl"] > 2 * meter().sample(NIGHT).values["zyggl"]


def test_an_idle_feeder_has_voltage_and_no_current() -> None:
    values = meter(6).sample(EVENING).values
    assert values["ua"] > 200
    assert values["ia"] == values["zyggl"] == 0


REGISTERS = (
    Field("total", unit="kWh", kind=Kind.COUNTER, title="import active energy, total"),
    *(Field(f"t{n}", unit="kWh", kind=Kind.COUNTER, title=f"import active energy, tariff {n}") for n in range(1, 7)),
    Field("out", unit="kWh", kind=Kind.COUNTER, title="export active energy, total"),
    Field("wh", unit="Wh", kind=Kind.COUNTER, title="active energy delivered"),
    Field("var", unit="kvarh", kind=Kind.COUNTER, title="import reactive energy, total"),
    Field("varout", unit="kvarh", kind=Kind.COUNTER, title="export reactive energy, total"),
    Field("va", unit="kVAh", kind=Kind.COUNTER, title="apparent energy, total"),
    Field("frozen", unit="kWh", kind=Kind.COUNTER, title="import active energy, frozen at 00:00"),
    Field("power", unit="kW", title="active power, total"),
    Field("at", unit="s", kind=Kind.STATE, title="time of the greatest demand"),
)


def test_registers_rise_agree_and_match_the_power() -> None:
    measured = Measured(REGISTERS, "seed")
    start = INSTALLED + 400 * DAY + 61_000
    steps = [measured.at(start + 60 * step, 21_600) for step in range(2 * 1440)]
    for one, other in pairwise(steps):
        assert all(other[field.name] >= one[field.name] - 1e-6 for field in REGISTERS if field.kind is Kind.COUNTER)
    for step in steps[::100]:
        assert sum(step[f"t{n}"] for n in range(1, 7)) == pytest.approx(step["total"])
        assert step["wh"] == pytest.approx(1000 * step["total"])
        assert step["va"] == pytest.approx(sqrt(step["total"] ** 2 + (step["var"] + step["varout"]) ** 2))
        assert step["out"] == 0
    risen = steps[-1]["total"] - steps[0]["total"]
    assert risen == pytest.approx(sum(step["power"] for step in steps) / 60, rel=0.02)


def test_a_register_that_can_rise_by_little_is_a_small_feeders() -> None:
    fields = (
        Field("home", unit="kWh", kind=Kind.COUNTER, low=0, greatest_rate=5, title="active energy"),
        Field("plant", unit="Wh", kind=Kind.COUNTER, low=0, greatest_rate=10**8, title="active energy"),
    )
    measured = Measured(fields, "seed")
    hours = [measured.at(INSTALLED + 400 * DAY + 3600 * hour) for hour in range(24)]
    steps = [(other["home"] - one["home"], other["plant"] - one["plant"]) for one, other in pairwise(hours)]
    assert all(0 < home < 5 and plant > 4_000 for home, plant in steps)


def test_frozen_registers_are_those_of_midnight() -> None:
    measured = Measured(REGISTERS, "seed")
    midnight = INSTALLED + 400 * DAY
    assert measured.at(midnight + 50_000)["frozen"] == pytest.approx(measured.at(midnight)["total"])
    assert measured.at(midnight + 50_000, 21_600)["at"] == midnight - DAY + 19 * 3600 - 21_600


def test_values_of_fields_that_no_rule_knows_lie_between_their_limits() -> None:
    fields = (
        Field("a", unit="L", low=100, high=101), Field("b", unit="L", low=-5), Field("c", unit="%", high=50),
        Field("d", unit="L"), Field("e", unit="rpm"), Field("f", unit="1"), Field("g", unit="1", kind=Kind.STATE),
    )  # fmt: skip
    for step in range(100):
        values = Measured(fields, "seed").at(1e9 + 700 * step)
        for field in fields:
            assert field.low is None or values[field.name] >= field.low
            assert field.high is None or values[field.name] <= field.high
