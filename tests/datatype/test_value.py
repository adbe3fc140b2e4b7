"""Frames that are one value."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import DeclarationError, Field, Frame, FrameError, Noted, value_parser
from greenpower.datatype.value import read_value


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"64.2", 64.2),
        (b"-3", -3),
        (b" 7 ", 7),
        (b"+5", "+5"),
        (b"1.", "1."),
        (b"true", True),
        (b'"on"', "on"),
        (b"on", "on"),
        (b"null", None),
        (b"", ""),
        ("é".encode(), "é"),
    ],
)
def test_values(payload: bytes, value: Any) -> None:
    found = read_value(payload)
    assert found == value and type(found) is type(value)


def parse(payload: bytes, **given: Any) -> Any:
    frame = Frame(topic="em/D/power", payload=payload, device="D", levels={"field": "power"})
    [reading] = value_parser(**given)(frame)
    return reading


def test_values_inside_objects() -> None:
    reading = parse(b'{"state": {"value": 12.5}, "ts": 1764000000}', value="state.value", time="ts")
    assert reading.values == {"power": 12.5} and reading.stamp == datetime(2025, 11, 24, 16, tzinfo=UTC)
    assert isinstance(parse(b'{"value": null}', value="value"), Noted)
    assert isinstance(parse(b"{}", value="value"), Noted)
    with pytest.raises(FrameError, match="not-a-value"):
        parse(b'{"value": {}}', value="value")
    with pytest.raises(DeclarationError, match="value="):
        value_parser(time="ts")


def test_what_no_field_declares_is_noted() -> None:
    fields = (Field("power", unit="kW"), Field("relay", unit="1", source="Relay/State"))

    def read(key: str, payload: bytes, **given: Any) -> Any:
        frame = Frame(topic="t", payload=payload, device="D", levels={"field": key})
        [reading] = value_parser(**given).for_fields(fields)(frame)
        return reading.reason if isinstance(reading, Noted) else reading.values

    assert read("name", b"east", noted="other") == read("power_limit", b"5", noted="other") == "other"
    assert read("name", b"[]", noted="other") == "other"
    assert read("Relay/State", b"1", noted="other") == {"Relay/State": 1}
    assert read("name", b"east", noted_text="text") == read("lit", b"true", noted_text="text") == "text"
    assert read("limit", b"5", noted_text="text") == {"limit": 5}
    assert read("limit", b"+5.", noted_text="text") == {"limit": "+5."}
    assert read("power", b"warm", noted_text="text") == {"power": "warm"}


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_an_error(payload: bytes) -> None:
    try:
        reading = parse(payload)
    except FrameError as error:
        assert error.reason in ("not-utf8", "not-a-value", "too-long")
    else:
        assert isinstance(reading, Noted) or list(reading.values) == ["power"]
