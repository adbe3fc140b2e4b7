"""Nested JSON objects: paths, several readings in one frame, frames that are no reading."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import DataType, DeclarationError, Field, Frame, FrameError, Mqtt, Noted, Reading, json_parser
from greenpower.datatype.json_parser import JsonParser
from greenpower.datatype.json_path import MISSING, build, find, parts_of

VALUES = st.integers(-1000, 1000) | st.booleans() | st.none() | st.text(max_size=5)
# Keys with a letter: an object whose keys are all positions is a list.
NESTED = st.dictionaries(
    st.text(alphabet="abc:0", min_size=1, max_size=4).filter(lambda key: not key.isdecimal()),
    st.recursive(
        VALUES,
        lambda inner: st.dictionaries(st.sampled_from(["a", "b", "em:0"]), inner, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


def datatype(parse: JsonParser, *sources: str) -> DataType:
    fields = tuple(Field(f"v{number}", unit="1", source=source) for number, source in enumerate(sources))
    return DataType(
        name="test", title="Test", collection="test_data", match=(Mqtt("test"),), fields=fields, parse=parse, open=False
    )


def read(parse: JsonParser, payload: dict[str, Any], *sources: str, device: str | None = "D") -> tuple[Reading, ...]:
    frame = Frame(topic="t", payload=json.dumps(payload).encode(), device=device)
    return datatype(parse, *sources).parse(frame)


def leaves(value: Any, *above: str) -> dict[tuple[str, ...], Any]:
    if not isinstance(value, dict):
        return {above: value}
    return {path: leaf for key, item in value.items() for path, leaf in leaves(item, *above, key).items()}


@given(NESTED)
def test_every_path_leads_to_its_value_and_values_to_their_object(value: dict[str, Any]) -> None:
    found = leaves(value)
    for path, leaf in found.items():
        assert find(value, path) == leaf
        assert find(value, (*path, "further")) is MISSING
    assert build(found.items()) == value


def test_a_path_enters_objects_and_lists() -> None:
    frame = {"ENERGY": {"Total": 1.5, "Today": 2}, "emeters": [{"power": 7}, {"power": 8}], "rssi": -60}
    (reading,) = read(json_parser(), frame, "ENERGY.Total", "emeters.1.power", "emeters.2.power", "rssi")
    assert reading.values == {"ENERGY.Total": 1.5, "emeters.1.power": 8, "rssi": -60}


def test_of_an_object_that_no_path_enters_the_key_is_a_value_that_will_be_left_out() -> None:
    (reading,) = read(json_parser(ignore=("wifi",)), {"a": {"b": 1}, "c": {"d": 2}, "wifi": {"e": 3}}, "a.b")
    assert reading.values == {"a.b": 1, "c": {"d": 2}}


def test_a_key_may_be_a_number_in_one_model_and_an_object_in_another() -> None:
    for frame, values in (({"temp": 5}, {"temp": 5}), ({"temp": {"tC": 5}}, {"temp.tC": 5})):
        assert read(json_parser(), frame, "temp.tC")[0].values == values


def test_a_path_may_go_on_in_another_model() -> None:
    sources = ("E.Power", "E.Power.0", "E.Power.1")
    for power, values in ((5, {"E.Power": 5}), ([6, 7], {"E.Power.0": 6, "E.Power.1": 7}), ({}, {})):
        assert read(json_parser(), {"E": {"Power": power}}, *sources)[0].values == values


@pytest.mark.parametrize("path", ["a", ".a", "a.", "."])
def test_a_dot_at_an_end_is_part_of_a_key(path: str) -> None:
    assert parts_of(path) == (path,)


def test_device_stamp_flag_and_message_id_by_path() -> None:
    parse = json_parser(device="info.eui", time="rx.at", complete="rx.last", message_id="rx.id")
    frame = {"info": {"eui": "E1"}, "rx": {"at": "2026-11-20T06:00:00+06:00", "last": 0, "id": 7}, "v": 1}
    assert read(parse, frame, "v", device=None) == (
        Reading(
            device_id="E1",
            values={"v": 1},
            stamp=datetime(2026, 11, 20, tzinfo=UTC),
            complete=False,
            message_id="7",
        ),
    )


@pytest.mark.parametrize("within", [["A", "B"], {"x": "A", "y": "B"}])
def test_each_child_is_a_reading(within: Any) -> None:
    def child(name: str) -> dict[str, Any]:
        return {"mac": name, "em": {"power": ord(name)}}

    children = [child(name) for name in within] if isinstance(within, list) else {
        key: child(name) for key, name in within.items()
    }  # fmt: skip
    parse = json_parser(device="mac", time="$.at", each="meters.all")
    found = read(parse, {"at": 1795132800, "meters": {"all": children}}, "em.power")
    assert [(item.device_id, item.values, item.stamp) for item in found] == [
        ("A", {"em.power": 65}, datetime(2026, 11, 20, tzinfo=UTC)),
        ("B", {"em.power": 66}, datetime(2026, 11, 20, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "bad-shape"),
        ({"all": 5}, "bad-shape"),
        ({"all": [1]}, "bad-shape"),
        ({"all": []}, "no-values"),
        ({"all": [{"mac": 5, "v": 1}]}, "bad-id"),
        ({"all": [{"v": 1}]}, "no-id"),
        ({"all": [{"mac": "A", "at": "x", "v": 1}]}, "bad-time"),
    ],
)
def test_children_that_are_none(payload: dict[str, Any], reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        read(json_parser(device="mac", time="at", each="all"), payload, "v", device=None)
    assert caught.value.reason == reason


NOTHING_DECLARED: list[dict[str, Any]] = [{}, {"method": "NotifyEvent", "params": {"events": []}}, {"other": 5}]
DECLARED: list[dict[str, Any]] = [{"params": {"em": {"power": 1}}}, {"v2": 1}]


@pytest.mark.parametrize(
    ("frame", "noted"), [(item, True) for item in NOTHING_DECLARED] + [(item, False) for item in DECLARED]
)
def test_a_frame_with_no_declared_value_is_noted_if_the_declaration_says_why(
    frame: dict[str, Any], noted: bool
) -> None:
    (found,) = read(json_parser(noted="an event of a button"), frame, "params.em.power", "V2")
    assert isinstance(found, Noted) is noted
    assert not isinstance(found, Noted) or found.reason == "an event of a button"


def test_children_with_no_declared_value_are_passed_over() -> None:
    parse = json_parser(device="mac", each="all", noted="nothing measured")
    found = read(parse, {"all": [{"mac": "A"}, {"mac": "B", "v": 1}]}, "v")
    assert [item.device_id for item in found] == ["B"]
    assert [isinstance(item, Noted) for item in read(parse, {"all": [{"mac": "A"}]}, "v")] == [True]
    assert [isinstance(item, Noted) for item in read(parse, {}, "v")] == [True]


def test_a_key_means_another_field_where_a_further_key_is_sent() -> None:
    parse = json_parser(where={"battery": {"voltage": "battery_voltage"}})
    assert read(parse, {"voltage": 230}, "voltage")[0].values == {"voltage": 230}
    found = read(parse, {"voltage": 2995, "battery": 97}, "voltage")
    assert found[0].values == {"battery_voltage": 2995, "battery": 97}


def test_a_frame_whose_declared_values_are_all_null_is_noted() -> None:
    (found,) = read(json_parser(noted="nothing"), {"v": None, "action": "single"}, "v")
    assert isinstance(found, Noted)


def test_a_parser_serves_several_types_and_changed_fields() -> None:
    parse = json_parser()
    one, other = datatype(parse, "a.b"), datatype(parse, "c.d")
    frame = Frame(topic="t", payload=b'{"a":{"b":1},"c":{"d":2}}', device="D")
    assert "a.b" in one.parse(frame)[0].values and "a.b" not in other.parse(frame)[0].values
    assert datatype(parse, "flat").parse is parse


def test_an_unknown_form_of_time_is_refused() -> None:
    with pytest.raises(DeclarationError, match="fortnights"):
        json_parser(time_form="fortnights")  # type: ignore[arg-type]


@given(st.binary(max_size=80))
def test_any_bytes_give_readings_or_a_frame_error(payload: bytes) -> None:
    for parse in (json_parser(each="a.b", device="c"), json_parser(noted="none"), json_parser(time="a.b")):
        for data in (payload, b'{"a":{"b":' + payload + b"}}"):
            try:
                datatype(parse, "a.b.c", "d").parse(Frame(topic="t", payload=data, device="D"))
            except FrameError as error:
                assert error.reason
