"""Each fault does what it says, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.datatype import FrameError
from greenpower.simulator.device import Packet, SimulatedDevice, frames, make_devices
from greenpower.simulator.fault import FAULTS, Sender
from greenpower.simulator.garbage import GARBAGE_FRAMES, garbage, is_refused
from greenpower.simulator.register_fault import REGISTER_FAULTS
from tests.simulator.sample import EVENING, ZONE, over_mqtt, read

RT = get_registry()["rt"]
TIMES = [EVENING + timedelta(seconds=30 * step) for step in range(60)]


def fleet() -> list[SimulatedDevice]:
    return make_devices(RT, 8, 0, ZONE)


def run(*faults: str) -> tuple[list[Packet], list[Packet], Counter[str]]:
    """Good packets, packets with these faults, and how often each befell."""
    sender = Sender(faults, 11)
    devices = fleet()
    good = [packet for at in TIMES for device in devices for packet in frames(device, at)]
    bad = [packet for at in TIMES for device in devices for packet in sender.send(device, at)]
    return good, bad + sender.flush(), sender.counts


def objects(packets: list[Packet]) -> list[dict[str, Any]]:
    return [json.loads(payload) for _, payload in packets]


def test_no_fault_changes_nothing() -> None:
    good, sent, counts = run()
    assert sent == good
    assert not counts.total()


@pytest.mark.parametrize("fault", sorted(FAULTS.keys() - REGISTER_FAULTS.keys()))
def test_a_fault_befalls_some_and_the_same_ones_again(fault: str) -> None:
    good, sent, counts = run(fault)
    assert sent != good
    assert counts.total() == counts[fault] > 20
    assert run(fault)[1] == sent


@pytest.mark.parametrize("fault", REGISTER_FAULTS)
def test_faults_of_registers_reach_what_is_sent(fault: str) -> None:
    datatype = get_registry()["eny_now"]
    devices = make_devices(datatype, 4, 0, ZONE)
    times = [EVENING + timedelta(hours=hour) for hour in range(6)]
    good = [packet for at in times for device in devices for packet in frames(device, at)]
    sender = Sender((fault,), 11)
    sent = [packet for at in times for device in devices for packet in sender.send(device, at)]
    assert len(sent) == len(good) and sent != good
    assert sender.counts.total() == sender.counts[fault] >= 4
    rt = Sender((fault,), 11)  # a type without registers
    assert [p for device in fleet() for p in rt.send(device, EVENING)] == [
        p for device in fleet() for p in frames(device, EVENING)
    ]
    assert not rt.counts.total()


def test_duplicates_are_byte_for_byte() -> None:
    good, sent, counts = run("duplicates")
    assert set(sent) == set(good)
    extra = Counter(sent) - Counter(good)
    assert len(extra) == counts["duplicates"]
    assert set(extra.values()) == {1, 2}


def test_zero_twins_have_the_id_and_time_of_a_good_frame_and_are_refused() -> None:
    good, sent, counts = run("zero")
    twins = list((Counter(sent) - Counter(good)).elements())
    assert len(twins) == counts["zero"]
    assert set(sent) > set(good)
    names = {(item["id"], item["time"]) for item in objects(good)}
    for twin in twins:
        with pytest.raises(FrameError, match="zero-frame"):
            read(RT, [twin])
        assert {(item["id"], item["time"]) for item in objects([twin])} <= names


def test_clocks_are_wrong_on_some_devices_with_the_right_spacing() -> None:
    _, sent, _ = run("clock")
    years: dict[str, set[int]] = {}
    for item in objects(sent):
        years.setdefault(item["id"], set()).add(datetime.strptime(item["time"], "%Y%m%d%H%M%S").year)
    assert sorted(year for found in years.values() for year in found) == [2005] * 2 + [2026] * 6
    reset = next(device for device, found in years.items() if found == {2005})
    stamps = sorted({item["time"] for item in objects(sent) if item["id"] == reset})
    times = [datetime.strptime(stamp, "%Y%m%d%H%M%S") for stamp in stamps]
    assert {other - one for one, other in pairwise(times)} == {timedelta(seconds=30)}


def test_splitting_and_reordering_change_no_reading() -> None:
    for faults in (("split",), ("reorder",), ("split", "reorder", "duplicates")):
        good, sent, _ = run(*faults)
        assert read(RT, sent) == read(RT, good)


def test_reordering_mixes_readings_of_several_devices() -> None:
    good, sent, _ = run("reorder")
    assert Counter(sent) == Counter(good)
    assert changes(sent) > changes(good)


def changes(packets: list[Packet]) -> int:
    """How often the next packet is another device's."""
    return sum(one["id"] != other["id"] for one, other in pairwise(objects(packets)))


def test_dropped_packets_never_come() -> None:
    good, sent, counts = run("drop")
    assert set(sent) < set(good)
    assert len(good) - len(sent) == counts["drop"]


def test_garbage_is_refused_and_the_rest_untouched() -> None:
    good, sent, counts = run("garbage")
    extra = list((Counter(sent) - Counter(good)).elements())
    assert len(extra) == counts["garbage"]
    assert all(is_refused(RT, payload) for _, payload in extra)
    assert Counter(good) <= Counter(sent)


@pytest.mark.parametrize("why", GARBAGE_FRAMES)
def test_every_kind_of_garbage_is_refused_by_rt(why: str) -> None:
    assert is_refused(RT, GARBAGE_FRAMES[why](Random(1)))


@pytest.mark.parametrize("datatype", over_mqtt(), ids=lambda datatype: datatype.name)
def test_garbage_of_every_type_is_refused_by_it(datatype: Any) -> None:
    random = Random(2)
    assert all(is_refused(datatype, garbage(random, datatype)) for _ in range(60))
