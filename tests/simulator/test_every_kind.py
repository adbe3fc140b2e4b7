"""Simulated devices with a field of every kind: what they send is what their kinds say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import orjson
import pytest

from greenpower.datatype import Frame
from greenpower.datatype.check import Checker
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec
from greenpower.simulator.device import SimulatedDevice, make_devices
from greenpower.simulator.fault import Sender
from tests.every_kind import EVERY_KIND, FAULTS, MODES

ZONE = ZoneInfo("Asia/Kathmandu")
BEGIN = datetime(2026, 11, 3, tzinfo=ZONE).astimezone(UTC)
STEP = timedelta(minutes=5)
DAYS = 2


def devices(count: int = 4) -> list[SimulatedDevice]:
    return make_devices(EVERY_KIND, count, 3, ZONE)


@pytest.fixture(scope="module")
def sent() -> list[tuple[datetime, dict[str, float]]]:
    """What a device sends in two days, as ingest stores it."""
    sender, checker = Sender(), Checker(EVERY_KIND)
    found = []
    for number in range(int(timedelta(days=DAYS) / STEP) + 1):
        at = BEGIN + number * STEP
        [(topic, payload)] = sender.send(devices()[1], at)
        [reading] = EVERY_KIND.parse(Frame(topic=topic, payload=payload))
        assert reading.message_id and reading.stamp is not None
        values, left_out = checker.check(reading.values)
        assert not left_out
        found.append((at, values))
    return found


def test_all_that_was_used_is_counted_alike_by_every_kind(sent: list[tuple[datetime, dict[str, float]]]) -> None:
    spec = Spec.from_datatype(EVERY_KIND)
    rolled = roll(
        [time for time, _ in sent],
        [values for _, values in sent],
        begin=BEGIN,
        end=BEGIN + timedelta(days=DAYS + 1),
        length=86_400,
        spec=spec,
        settled_before=BEGIN + timedelta(days=DAYS + 2),
        carries=dict.fromkeys(spec.counters),
        stale_after=EVERY_KIND.stale_after,
        slots=True,
        zone=ZONE,
    )
    assert rolled.incidents == []
    counted = {name: sum(slot.energy for slot in slots) / 10**6 for name, slots in rolled.slots.items()}
    assert counted["imported"] == pytest.approx(sent[-1][1]["imported"] - sent[0][1]["imported"])
    first = sent[0][1]["used"]  # of the time before the first message
    assert counted["used"] - first == pytest.approx(counted["imported"], abs=0.01 * len(sent))
    assert counted["today"] == pytest.approx(counted["imported"], rel=0.05)
    assert counted["netted"] < counted["imported"] * 0.8


def test_a_net_register_falls_at_noon_and_a_daily_one_at_midnight(
    sent: list[tuple[datetime, dict[str, float]]],
) -> None:
    falls: dict[str, set[int]] = {"imported": set(), "netted": set(), "today": set()}
    for (_, before), (time, after) in pairwise(sent):
        for name in falls:
            if after[name] < before[name]:
                falls[name].add(time.astimezone(ZONE).hour)
    assert falls["imported"] == set()
    assert 12 in falls["netted"] and 22 not in falls["netted"]
    assert falls["today"] == {0}


def test_codes_are_those_of_the_declaration() -> None:
    modes, faults = set(), set()
    for device in devices():
        for hour in range(0, 200):
            values = device.measure(BEGIN + hour * timedelta(minutes=20))
            modes.add(values["mode"])
            faults.add(values["faults"])
    assert modes == set(MODES)
    assert faults == {0, *(1 << bit for bit in FAULTS)}


def test_a_delta_is_what_was_used_since_the_message_before() -> None:
    device = devices()[0]
    hour = BEGIN + timedelta(hours=1)
    parts = [device.measure(BEGIN + number * STEP, BEGIN + (number - 1) * STEP)["used"] for number in range(1, 13)]
    assert sum(parts) == pytest.approx(device.measure(hour, BEGIN)["used"])
    assert device.measure(hour, hour)["used"] == 0
    sender = Sender()
    for at in (BEGIN, hour):
        [(_, payload)] = sender.send(device, at)
    assert orjson.loads(payload)["used"] == pytest.approx(sum(parts), abs=0.001)
