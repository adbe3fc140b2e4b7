"""Wiring faults of simulated meters: what a meter shows agrees with what is at its terminals."""

from __future__ import annotations

import json
from cmath import rect
from datetime import UTC, datetime
from math import atan2, hypot, radians
from random import Random

import pytest

from greenpower.catalog.registry import load_registry
from greenpower.datatype import Field
from greenpower.simulator.device import make_devices
from greenpower.simulator.fault import Sender
from greenpower.simulator.feeder import Feeder
from greenpower.simulator.rewiring import rewired
from greenpower.simulator.value import Measured
from greenpower.simulator.wiring_fault import WIRING_FAULTS

PHASES = "abc"
UNITS = {"voltage": "V", "current": "A", "active_power": "kW", "reactive_power": "kvar", "apparent_power": "kVA"}
FIELDS = [
    *(
        Field(f"{name}_{phase}", unit=unit, title=f"{name}, phase {phase}", measures=name, phase=phase)
        for name, unit in UNITS.items()
        for phase in PHASES
    ),
    Field("total", unit="kW", title="active power", measures="active_power"),
]
MORNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
NOON = 12 * 3_600.0
REWIRED = [name for name, fault in WIRING_FAULTS.items() if fault.rewire is not None]


def shown(name: str = "", seed: str = "one", second: float = NOON) -> dict[str, float]:
    measured = Measured(FIELDS, seed)
    values = dict(measured.at(second))
    return rewired(FIELDS, values, name, measured.feeder, second) if name else values


@pytest.mark.parametrize("seed", ["one", "two", "three"])
@pytest.mark.parametrize("name", REWIRED)
def test_the_meter_still_measures_what_is_at_its_terminals(name: str, seed: str) -> None:
    """S² = P² + Q², U times I = S and the total is the sum, whatever is wired wrong."""
    values = shown(name, seed)
    for phase in PHASES:
        u, i, p, q, s = (values[f"{quantity}_{phase}"] for quantity in UNITS)
        assert s == pytest.approx(hypot(p, q)) == pytest.approx(u * i / 1000)
    assert values["total"] == pytest.approx(sum(values[f"active_power_{phase}"] for phase in PHASES))


def test_exchanged_cts_by_a_plain_calculation() -> None:
    good, bad = shown(), shown("swapped-cts")
    for phase, turn, other, there in (("a", 0, "b", -120), ("b", -120, "a", 0)):
        lag = radians(there) - _angle(good, other)
        power = rect(good[f"voltage_{phase}"], radians(turn)) * rect(good[f"current_{other}"], lag).conjugate() / 1000
        assert bad[f"active_power_{phase}"] == pytest.approx(power.real, abs=1e-6)
    assert bad["active_power_c"] == pytest.approx(good["active_power_c"])


def _angle(values: dict[str, float], phase: str) -> float:
    return atan2(values[f"reactive_power_{phase}"], values[f"active_power_{phase}"])


@pytest.mark.parametrize("name", WIRING_FAULTS)
def test_every_fault_is_the_same_again_and_leaves_other_fields_alone(name: str) -> None:
    fields = [*FIELDS, Field("other", unit="°C", title="temperature")]
    measured = Measured(fields, "one")
    values = dict(measured.at(NOON))
    bad = rewired(fields, values, name, measured.feeder, NOON)
    assert bad == rewired(fields, values, name, measured.feeder, NOON)
    assert bad["other"] == values["other"] and bad.keys() == values.keys()


def test_a_feeder_of_one_phase_cannot_be_rewired() -> None:
    measured = Measured(FIELDS[:1], "one", phases=1)
    values = dict(measured.at(NOON))
    assert rewired(FIELDS[:1], values, "swapped-cts", Feeder(Random(1), phases=1), NOON) == values


def test_a_sender_sends_what_a_meter_shows_that_is_wired_wrong() -> None:
    datatype = next(item.datatype for item in load_registry(None).loaded if item.datatype.name == "rt")
    [device] = make_devices(datatype, 1, 7, UTC)
    [(_, good)] = Sender().send(device, MORNING)
    [(_, bad)] = Sender(wiring="reversed-ct").send(device, MORNING)
    one, other = json.loads(good), json.loads(bad)
    assert other["pb"] == -one["pb"] and other["pa"] == one["pa"] and other["ib"] == one["ib"]
