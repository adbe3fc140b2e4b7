"""JSON as devices send it: the inverse of the parser, whatever the parser's form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.catalog.registry import Registry
from greenpower.datatype import (
    ON_OFF,
    DataType,
    Field,
    Frame,
    Kind,
    Model,
    Mqtt,
    Sample,
    json_parser,
    json_wire,
)  # fmt: skip
from greenpower.datatype.check import Checker
from greenpower.simulator.device import frames, make_devices, wire_of

STAMP = datetime(2026, 11, 20, 6, 0, 7, tzinfo=ZoneInfo("Asia/Dhaka"))
FIELDS = (
    Field("power", unit="kW", sent_in="W", source=("power", "em.0.power")),
    Field("power_b", unit="kW", sent_in="W", source="em.1.power"),
    Field("energy", unit="kWh", sent_in="Wh", kind=Kind.COUNTER, source="data.Total", low=0),
    Field("level", unit="%", scale=0.1),
    Field("temp", unit="°C", sent_in="°F"),
    Field("relay", unit="1", kind=Kind.STATE, words=ON_OFF, source="state.relay"),
)
FORMS: list[dict[str, Any]] = [
    {"device": "id", "time": "at"},
    {"device": "who.id", "time": "rx.at", "complete": "rx.last", "message_id": "rx.n", "time_form": "s"},
    {"device": "id", "time": "at", "time_form": "ms"},
    {"device": "id", "time": "at", "time_form": "us"},
    {"device": "id", "time": "at", "time_form": "ns"},
    {"device": "mac", "time": "$.at", "each": "all.meters", "time_form": "s"},
    {"device": "$.gateway.id", "each": "all", "message_id": "$.n"},
]


def loaded(**form: Any) -> DataType:
    (datatype,) = Registry.of(
        DataType(
            name="test", title="Test", collection="test_data", match=(Mqtt("test"),), fields=FIELDS,
            parse=json_parser(**form), open=False,
        )
    )  # fmt: skip
    return datatype


@pytest.mark.parametrize("form", FORMS)
@given(packets=st.integers(1, 7), power=st.integers(-9_999, 9_999), on=st.booleans())
def test_what_is_sent_is_read(form: dict[str, Any], packets: int, power: int, on: bool) -> None:
    datatype = loaded(**form)
    values = {"power": power / 10_000, "power_b": 1.5, "energy": 81.234, "level": 12.3, "temp": 21.5, "relay": int(on)}
    sample = Sample(device_id="D1", model=Model(), stamp=STAMP, values=values, packets=packets)
    found: dict[str, Any] = {}
    frames = wire_of(datatype).encode(sample)
    assert len(frames) == min(packets, len(values))
    for number, payload in enumerate(frames, 1):
        (reading,) = datatype.parse(Frame(topic="test", payload=payload))
        assert reading.device_id == "D1"
        if reading.stamp is not None:
            stamp = reading.stamp if reading.stamp.tzinfo else reading.stamp.replace(tzinfo=STAMP.tzinfo)
            assert stamp.astimezone(UTC) == STAMP
        assert ("time" in form) == (reading.stamp is not None)
        assert reading.complete is ("complete" not in form or number == len(frames))
        assert (reading.message_id is not None) == ("message_id" in form)
        part, left_out = Checker(datatype).check(reading.values)
        assert left_out == {} and found.keys().isdisjoint(part)
        found |= part
    assert found == pytest.approx(values, rel=0.001, abs=0.001)


def test_devices_send_their_own_units_words_and_paths() -> None:
    values = {"power": 0.0642, "power_b": 0.1, "relay": 1}
    [payload] = wire_of(loaded(device="id")).encode(Sample(device_id="D", model=Model(), stamp=STAMP, values=values))
    assert json.loads(payload) == {
        "id": "D",
        "em": [{"power": 64.2}, {"power": 100.0}],
        "state": {"relay": "on"},
    }


def test_where_paths_exclude_each_other_there_are_models_of_both() -> None:
    fields = (
        Field("power", unit="kW", sent_in="W", source="E.Power"),
        Field("power_a", unit="kW", sent_in="W", source="E.Power.0"),
        Field("total", unit="kWh", source="E.Total"),
    )
    (datatype,) = Registry.of(
        DataType(
            name="test", title="Test", collection="test_data", match=(Mqtt("test/{device}"),), fields=fields,
            parse=json_parser(),
        )
    )  # fmt: skip
    sent = [json.loads(frames(device, STAMP)[0][1])["E"] for device in make_devices(datatype, 2, 0, UTC)]
    assert [type(item["Power"]) for item in sent] == [float, list] and all("Total" in item for item in sent)


def test_a_declared_wire_knows_conversions_when_its_type_is_loaded() -> None:
    wire = json_wire(FIELDS, ids="D#", device="id")
    (datatype,) = Registry.of(
        DataType(
            name="test", title="Test", collection="test_data", match=(Mqtt("test"),), fields=FIELDS,
            parse=json_parser(device="id"), wire=wire,
        )
    )  # fmt: skip
    [payload] = wire_of(datatype).encode(Sample(device_id="D", model=Model(), stamp=STAMP, values={"temp": 100}))
    assert json.loads(payload) == {"id": "D", "temp": 212}
    assert wire.for_fields(()) is wire
