"""Planted faults are found within a day of data, and named: the fault itself is the cause, the rest follows from it."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from greenpower.catalog.registry import load_registry
from greenpower.datatype import PointRole
from greenpower.simulator.wiring_fault import WIRING_FAULTS
from greenpower.wiring.ask import all_faults, ask_all
from greenpower.wiring.circuit import Circuit
from greenpower.wiring.outcome import NotAsked, WiringFinding
from tests.wiring.days import simulated_day

TYPES = {item.datatype.name: item.datatype for item in load_registry(None).loaded}
METER = [TYPES["rt"], TYPES["eny_now"]]
STEP = 900
#: values that small meters do not send
REACTIVE = ("qa", "qb", "qc", "zwggl")
APPARENT = ("sa", "sb", "sc", "zszgl")
LINES = ("uab", "ubc", "uca", "uplus", "uminus", "f")


def found(circuit: Circuit) -> dict[str, WiringFinding]:
    answers = ask_all(circuit)
    return {answer.outcome.name: answer.outcome for answer in answers if isinstance(answer.outcome, WiringFinding)}


def causes(circuit: Circuit) -> list[str]:
    return [name for name, finding in found(circuit).items() if not finding.follows]


@pytest.mark.parametrize("seed", ["a", "b"])
@pytest.mark.parametrize("fault", WIRING_FAULTS)
def test_a_planted_fault_is_the_one_cause_that_is_named(fault: str, seed: str) -> None:
    circuit = simulated_day(METER, seed=seed, step=STEP, fault=fault, role=PointRole.LOAD, expected=1)
    assert causes(circuit) == [WIRING_FAULTS[fault].named]
    named = found(circuit)[WIRING_FAULTS[fault].named]
    assert named.fault.look and named.saw and named.figures
    assert 0.8 * named.samples <= named.faulty <= named.samples


@pytest.mark.parametrize(
    ("fault", "phases"),
    [
        ("reversed-ct", "b"), ("two-reversed-cts", "ac"), ("swapped-cts", "ab"), ("swapped-leads", "bc"),
        ("rotated-cts", "abc"), ("voltage-lead", "b"), ("wrong-conductor", "ca"), ("open-lead", "c"), ("open-ct", "a"),
        ("ct-ratio-phase", "a"), ("total-without-phase", "b"),
    ],
)  # fmt: skip
def test_the_phases_are_named(fault: str, phases: str) -> None:
    circuit = simulated_day(METER, step=STEP, fault=fault, role=PointRole.LOAD, expected=1)
    assert found(circuit)[WIRING_FAULTS[fault].named].phases == tuple(phases)


def test_twenty_faults_can_be_planted_and_each_is_one_that_a_check_names() -> None:
    assert len(WIRING_FAULTS) >= 20
    assert {fault.named for fault in WIRING_FAULTS.values()} <= all_faults().keys()


@pytest.mark.parametrize("fault", ["reversed-ct", "swapped-cts", "open-lead", "register-ratio", "power-scale"])
def test_a_meter_that_sends_less_shows_it_too(fault: str) -> None:
    """Without reactive power, line voltages and sequences."""
    left_out = {*REACTIVE, *LINES}
    circuit = simulated_day(
        METER, step=STEP, fault=fault, role=PointRole.LOAD, expected=1, fields=lambda name: name not in left_out
    )
    assert causes(circuit) == [WIRING_FAULTS[fault].named]


def test_with_active_power_only_exchanged_cts_are_not_told_from_a_battery_and_the_answer_says_so() -> None:
    left_out = {*REACTIVE, *APPARENT, *LINES, "ua", "ub", "uc", "pfa", "pfb", "pfc", "zglys"}
    circuit = simulated_day(METER, step=STEP, fault="swapped-cts", fields=lambda name: name not in left_out)
    assert found(circuit) == {}
    [answer] = [answer.outcome for answer in ask_all(circuit) if answer.check.name == "reversed_ct"]
    assert isinstance(answer, NotAsked) and "exchanged" in answer.reason


@pytest.mark.parametrize("fault", ["reversed-ct", "two-reversed-cts"])
def test_a_solar_plant_with_a_reversed_ct(fault: str) -> None:
    """It has no load at night: the steady ratio of the phases tells it."""
    circuit = simulated_day([TYPES["solar"]], step=STEP, fault=fault, role=PointRole.SOLAR, expected=1)
    assert found(circuit)["reversed_ct"].phases == tuple("b" if fault == "reversed-ct" else "ac")


def test_a_solar_meter_that_makes_power_at_night() -> None:
    """Its clock, or its zone, is half a day wrong."""
    circuit = simulated_day([TYPES["solar"]], step=STEP, role=PointRole.SOLAR, expected=1)
    assert found(circuit) == {}
    wrong = Circuit("wrong", circuit.tables, role=PointRole.SOLAR, expected=1, zone=timezone(timedelta(hours=-6)))
    assert list(found(wrong)) == ["solar_at_night"]


def test_no_faults_explain_each_other() -> None:
    faults = all_faults()
    assert {name for fault in faults.values() for name in fault.explains} <= faults.keys()

    def below(name: str, seen: tuple[str, ...] = ()) -> None:
        assert name not in seen, seen
        for other in faults[name].explains:
            below(other, (*seen, name))

    for name in faults:
        below(name)
