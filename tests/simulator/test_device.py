"""Simulated devices speak what the data types read, the same for the same seed and time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType, Field, Kind, Mqtt, is_device_id, json_parser
from greenpower.simulator.device import CannotSimulate, device_name, frames, make_devices
from greenpower.simulator.fleet import make_fleet
from tests.simulator.sample import EVENING, NIGHT, ZONE, over_mqtt, read

TYPES = pytest.mark.parametrize("datatype", over_mqtt(), ids=lambda datatype: datatype.name)


@TYPES
def test_same_seed_same_bytes(datatype: DataType) -> None:
    one, other = (make_devices(datatype, 4, 7, ZONE) for _ in range(2))
    assert [frames(device, EVENING) for device in one] == [frames(device, EVENING) for device in other]


@TYPES
def test_another_seed_other_values(datatype: DataType) -> None:
    one, other = (make_devices(datatype, 1, seed, ZONE)[0] for seed in (1, 2))
    assert frames(one, EVENING) != frames(other, EVENING)


@TYPES
def test_what_is_sent_is_read_and_nothing_left_out(datatype: DataType) -> None:
    for device in make_devices(datatype, 8, 3, ZONE):
        for at in (EVENING, NIGHT, EVENING + timedelta(days=200, hours=5)):
            found, left_out = read(datatype, frames(device, at))
            assert not left_out
            ((device_id, stamp), payload), *rest = found.items()
            assert not rest
            assert device_id == device.device_id
            assert stamp is None or (stamp if stamp.tzinfo else stamp.replace(tzinfo=ZONE)) == at
            assert set(payload) == set(device.model.fields or (field.name for field in device.wire.fields))


@TYPES
def test_device_ids_differ_and_are_ids(datatype: DataType) -> None:
    ids = [device.device_id for device in make_devices(datatype, 500, 0, ZONE)]
    assert len(set(ids)) == len(ids)
    assert all(map(is_device_id, ids))


@TYPES
def test_split_packets_merge_to_the_unsplit_values(datatype: DataType) -> None:
    for device in make_devices(datatype, 3, 0, ZONE):
        sample = device.sample(EVENING)
        whole = read(datatype, device.send(replace(sample, packets=1)))
        for count in (2, 5, 9, 1000):
            packets = device.send(replace(sample, packets=count))
            Random(count).shuffle(packets)
            assert read(datatype, packets) == whole


def test_a_split_meter_sends_nine_packets_of_one_id_and_time() -> None:
    device = make_devices(get_registry()["rt"], 2, 0, ZONE)[1]
    packets = [json.loads(payload) for _, payload in frames(device, EVENING)]
    assert [packet["isend"] for packet in packets] == ["0"] * 8 + ["1"]
    assert {(packet["id"], packet["time"]) for packet in packets} == {(device.device_id, "20261123193007")}
    assert len(device.device_id) == 13


def test_numbers_look_as_meters_write_them() -> None:
    (_, payload), *_ = frames(make_devices(get_registry()["rt"], 1, 0, ZONE)[0], EVENING)
    text = payload.decode()
    assert text.startswith('{"id":"33B12260') and text.endswith('"time":"20261123193007","isend":"1"}')
    assert '"uxja":0.000,' in text
    assert len(text.split('"zyggl":')[1].split(",")[0].split(".")[1]) == 4


def test_registers_do_not_fall_when_clocks_change() -> None:
    fields = (Field("e", unit="kWh", kind=Kind.COUNTER),)
    datatype = _flat("meter", fields)
    (device,) = make_devices(datatype, 1, 0, ZoneInfo("Europe/Berlin"))
    start = EVENING.replace(month=10, day=24, hour=20)
    values = [device.sample(start + timedelta(minutes=10 * step)).values["e"] for step in range(80)]
    assert all(one < other for one, other in pairwise(values))


def test_a_flat_json_type_needs_no_wire_of_its_own() -> None:
    datatype = _flat(
        "tank", (Field("level_percent", unit="%", source="Level(%)"), Field("oddity", unit="L", low=0, high=500))
    )
    assert datatype.wire is None
    device = make_devices(datatype, 3, 0, ZONE)[2]
    found, left_out = read(datatype, frames(device, EVENING))
    assert list(found) == [("SIMULATED-TANK-0003", EVENING.astimezone(ZONE).replace(tzinfo=None))]
    assert not left_out
    assert b'"Level(%)":' in frames(device, EVENING)[0][1]


def test_a_type_that_says_too_little_is_refused() -> None:
    custom = DataType(
        name="odd", title="Odd", collection="odd", match=(Mqtt("ODD"),), fields=(), parse=lambda frame: (), wire=None
    )
    with pytest.raises(CannotSimulate, match=r"^odd: "):
        make_devices(custom, 1, 0, ZONE)
    with pytest.raises(CannotSimulate, match=r"^wild: "):
        make_fleet([replace(_flat("wild", ()), match=(Mqtt("WILD/+"),))], 1, 0, ZONE)


def test_devices_are_where_the_claims_look_for_them() -> None:
    fields = (Field("level", unit="%"),)
    named = replace(_flat("tank", fields), match=(Mqtt("A/1", device="ONE"), Mqtt("A/2", device="TWO")))
    assert [(device.topic, device.device_id) for device in make_devices(named, 1, 0, ZONE)] == [
        ("A/1", "ONE"),
        ("A/2", "TWO"),
    ]
    level = replace(_flat("tank", fields), match=(Mqtt("SITE/+/+/#", device_level=1),), parse=json_parser())
    device = make_devices(level, 2, 0, ZONE)[1]
    assert device.topic == "SITE/SIMULATED-TANK-0002/simulated"
    assert list(read(level, frames(device, EVENING))[0]) == [("SIMULATED-TANK-0002", None)]


def test_a_narrower_range_is_kept() -> None:
    narrow = replace(
        get_registry()["rt"],
        fields=tuple(
            replace(field, high=300) if field.name.startswith("u") and field.unit == "V" else field
            for field in get_registry()["rt"].fields
        ),
    )
    for device in make_devices(narrow, 2, 0, ZONE):
        assert not read(narrow, frames(device, EVENING))[1]


def test_names_follow_seed_and_number() -> None:
    assert device_name("33B12260#####", 0, 0) == "33B1226000001"
    assert device_name("33B12260#####", 2, 4) == "33B1226002005"
    assert device_name("STATION", 2, 4) == "STATION"


def _flat(name: str, fields: tuple[Field, ...]) -> DataType:
    return DataType(
        name=name, title=name, collection=name, match=(Mqtt(name.upper()),), fields=fields,
        parse=json_parser(device="id", time="time"),
    )  # fmt: skip
