"""What is announced of a device: sensors that Home Assistant takes, with values that its templates find."""

from __future__ import annotations

import re
from typing import Any

import jinja2
import orjson
import pytest

from greenpower.bus.message import Message
from greenpower.catalog.registry import get_registry
from greenpower.datatype import NO_TIERS, DataType, Field, Kind
from greenpower.datatype.unit import UNITS as OUR_UNITS
from greenpower.homeassistant.announcement import KnownDevice, messages_of, object_id
from greenpower.homeassistant.sensor_class import sensor_class
from tests.every_kind import EVERY_KIND
from tests.homeassistant.allowed import OF_A_DEVICE, check_class, check_sensor

STAMP = "2026-03-01T00:00:00.000Z"
ODD_IDS = ("M1", "a/b", "a_b", "a+b#", "a b", "a\x00b", "Ä", "=1", "x" * 64)
MODES = DataType(
    name="modes",
    title="Modes",
    collection="modes_data",
    match=EVERY_KIND.match,
    fields=(
        Field("values", unit="kW"),
        Field("1st", unit="V"),
        Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "off", 1: " running "}),
        Field("alarm", unit="1", kind=Kind.ENUMERATION, codes={0: "hot", 2: "wet"}, bits=True),
    ),
    parse=EVERY_KIND.parse,
    tiers=NO_TIERS,
)


def reading(datatype: DataType, device: str, **payload: float) -> Message:
    return {"type": datatype.name, "device_id": device, "timestamp": STAMP, "received_at": STAMP, "payload": payload}


def config_of(device: KnownDevice, prefix: str = "homeassistant") -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(
        messages_of(device, prefix)[f"{prefix}/device/{object_id(device.device_id)}/config"]
    )
    return found


@pytest.mark.parametrize("datatype", [*get_registry(), EVERY_KIND], ids=lambda datatype: datatype.name)
def test_home_assistant_takes_each_sensor_of_each_type(datatype: DataType) -> None:
    config = config_of(KnownDevice(device_id="M1", types=(datatype,)))
    assert set(config) == {"device", "origin", "components", "qos"}
    assert set(config["device"]) <= OF_A_DEVICE and config["device"]["identifiers"] and config["origin"]["name"]
    assert len(config["components"]) == len(datatype.fields)
    for sensor in config["components"].values():
        check_sensor(sensor)
    ids = [sensor["unique_id"] for sensor in config["components"].values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("unit", OUR_UNITS)
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.ENUMERATION])
def test_any_unit_of_any_kind_has_a_class_that_allows_it(unit: str, kind: Kind) -> None:
    check_class(*sensor_class(Field("x", unit=unit, kind=kind)))


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        (Field("e", unit="kWh", kind=Kind.COUNTER), ("energy", "total_increasing", "kWh")),
        (Field("e", unit="kWh", kind=Kind.DAILY), ("energy", "total_increasing", "kWh")),
        (Field("e", unit="kWh", kind=Kind.NET), ("energy", "total", "kWh")),
        (Field("e", unit="kWh", kind=Kind.DELTA), ("energy", None, "kWh")),
        (Field("e", unit="kWh"), ("energy_storage", "measurement", "kWh")),
        (Field("e", unit="kvarh", kind=Kind.COUNTER), ("reactive_energy", "total_increasing", "kvarh")),
        (Field("e", unit="kVAh", kind=Kind.COUNTER), (None, "total_increasing", "kVAh")),
        (Field("p", unit="kW"), ("power", "measurement", "kW")),
        (Field("a", unit="°", kind=Kind.ANGLE), (None, "measurement_angle", "°")),
        (Field("pf", unit="1", title="power factor, phase A"), ("power_factor", "measurement", None)),
        (Field("n", unit="1", title="count"), (None, "measurement", None)),
        (Field("h", unit="%", title="relative humidity"), ("humidity", "measurement", "%")),
        (Field("d", unit="%", title="voltage unbalance"), (None, "measurement", "%")),
        (Field("pm2_5_ug_m3", unit="µg/m³", title="particles up to 2.5 µm"), ("pm25", "measurement", "µg/m³")),
        (Field("t", unit="s", kind=Kind.STATE), (None, None, "s")),
        (Field("m", unit="1", kind=Kind.ENUMERATION, codes={0: "off"}), ("enum", None, None)),
        (Field("m", unit="1", kind=Kind.ENUMERATION, codes={0: "off"}, bits=True), (None, None, None)),
    ],
)
def test_the_class_of_a_field(field: Field, wanted: tuple[str | None, str | None, str | None]) -> None:
    assert sensor_class(field) == wanted


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ({"values": 1.25, "1st": 230, "mode": 1, "alarm": 5}, ["1.25", "230", "running", "hot, wet"]),
        ({"values": 0, "mode": 7, "alarm": 0}, ["0", "", "None", "-"]),
        ({}, ["", "", "None", "None"]),
    ],
)
def test_the_templates_find_the_values(payload: dict[str, float], wanted: list[str]) -> None:
    device = KnownDevice(
        device_id="M1",
        types=(MODES,),
        readings={"modes": reading(MODES, "M1", **payload)},
        statuses={"modes": "offline"},
    )
    messages, sensors = messages_of(device, "homeassistant"), config_of(device)["components"]
    shown = []
    for field in MODES.fields:
        sensor = sensors[f"modes_{field.name}"]
        given = {"value_json": orjson.loads(messages[sensor["state_topic"]]), "value": ""}
        shown.append(jinja2.Template(sensor["value_template"]).render(**given))
        assert jinja2.Template(sensor["availability_template"]).render(**given) == "offline"
    assert shown == wanted
    assert sensors["modes_mode"]["options"] == ["off", "running"]


def test_each_id_has_a_name_of_its_own_that_topics_can_have() -> None:
    assert len({object_id(device_id) for device_id in ODD_IDS}) == len(ODD_IDS)
    for device_id in ODD_IDS:
        device = KnownDevice(device_id=device_id, types=(MODES,), readings={"modes": reading(MODES, device_id)})
        for topic in messages_of(device, "homeassistant"):
            assert re.fullmatch(r"[a-zA-Z0-9_/-]+", topic) and topic.count("/") == 3


def test_what_people_call_a_device_is_what_home_assistant_shows() -> None:
    config = config_of(KnownDevice(device_id="M1", name="Pump", area="Block A", types=(MODES,)))
    assert config["device"]["name"] == "Pump" and config["device"]["suggested_area"] == "Block A"
    assert config_of(KnownDevice(device_id="M1", types=(MODES,)))["device"]["name"] == "M1"
