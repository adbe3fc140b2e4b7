"""Columns by name and by a mapping; what fits nothing is named, with what is meant."""

from __future__ import annotations

import io
from typing import Any

import pytest

from greenpower.importing.cell_names import CellNames
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.mapping import MAX_MAPPING_BYTES, make_mapping, read_mapping
from greenpower.importing.run import open_file
from tests.importing.files import HEATER, payloads, read
from tests.rollups.world import POWER

TIME = "2026-01-31T12:00:00Z"


def fault(data: bytes, form: Any = None, **mapping: Any) -> str:
    with pytest.raises(ImportFileError) as raised:
        open_file(io.BytesIO(data), HEATER, make_mapping(mapping), form)
    return str(raised.value)


def line(header: str, cells: str) -> bytes:
    return f"device_id,timestamp,{header}\nD1,{TIME},{cells}\n".encode()


@pytest.mark.parametrize(
    ("header", "cells", "payload"),
    [
        ("power", "1.5", {"power": 1.5}),
        ("POWER", "1.5", {"power": 1.5}),
        ("power [W]", "1500", {"power": 1.5}),
        ("Power (W)", "64.2", {"power": 0.0642}),
        ("power [kW]", "1.5", {"power": 1.5}),
        ("energy [MWh]", "0.25", {"energy": 250.0}),
        ("energy [Wh],power", "12345,", {"energy": 12.345}),
        ("temp [°F]", "212", {"temp": 100.0}),
        ("temp [K]", "273.15", {"temp": 0.0}),
        ("mode,temp", "on,20", {"mode": 1, "temp": 20}),
        ("mode,temp", "0,20", {"mode": 0, "temp": 20}),
    ],
)
def test_columns_by_name(header: str, cells: str, payload: dict[str, Any]) -> None:
    assert payloads(line(header, cells)) == [payload]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("powr", "did you mean power"),
        ("p", "has no field 'p'"),
        ("power [V]", "something else than kW"),
        ("power [blah]", "blah"),
        ("power,power [W]", "two columns are of one field"),
        ("power,power", "two columns have the name 'power'"),
        ("final,power", "these are buckets"),
        ("mode [W]", "enumeration"),
        ("topic", "no column has a value"),
    ],
)
def test_headers_that_cannot_be_used(header: str, said: str) -> None:
    assert said in fault(line(header, ",".join("1" for _ in header.split(","))))


def test_device_and_time_must_be_there() -> None:
    said = fault(b"power\n1\n")
    assert "names the device" in said and "has the time" in said
    assert "no column 'X' for the device" in fault(line("power", "1"), device="X")


def test_all_unknown_columns_are_named_or_ignored() -> None:
    data = line("power,comment,Operator", "1,x,y")
    said = fault(data)
    assert "'comment'" in said and "'Operator'" in said
    assert payloads(data, ignore=["comment", "Operator"]) == [{"power": 1}]
    assert payloads(data, ignore_unknown=True) == [{"power": 1}]


def test_a_mapping_says_what_columns_are() -> None:
    mapping = read_mapping(
        """
        device = "Meter"
        time = ["Date", "Time"]
        time_format = "%d.%m.%Y %H:%M"
        timezone = "Europe/Berlin"
        delimiter = ";"
        decimal = ","
        encoding = "cp1252"
        missing = ["k.A."]
        ignore = ["Bemerkung"]
        [columns]
        "Leistung" = { field = "power", unit = "W", scale = 10 }
        "Zähler" = "energy"
        [devices]
        "Haus 1" = "D1"
        """
    )
    data = (
        "Meter;Date;Time;Leistung;Zähler;Bemerkung\r\nHaus 1;31.01.2026;13:00;12,5;1234,567;gut\r\n"
        "D2;31.01.2026;13:15;k.A.;1\r\n"
    ).encode("cp1252")
    fragments, tally = read(data, **mapping.model_dump(exclude_unset=True))
    assert tally.is_clean
    assert [(one.device_id, one.payload) for one in fragments] == [
        ("D1", {"power": 0.125, "energy": 1234.567}),
        ("D2", {"energy": 1}),
    ]
    assert fragments[0].timestamp.isoformat() == "2026-01-31T12:00:00+00:00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devise = 'x'", "devise"),
        ("[columns]\nx = 'nofield'", "has no field 'nofield'"),
        ("[columns]\nx = { field = 'power', unit = 'V' }", "something else"),
        ("[columns]\nx = { field = 'power', scale = 0 }", "must not be 0"),
        ("timezone = 'Mars/Base'", "no time zone"),
        ("encoding = 'base64'", "no encoding"),
        ("field = 'f'", "both field and value"),
        ("device = 'a'\ndevice_id = 'b'", "either"),
        ("= 1", "no TOML"),
        ("#" * (MAX_MAPPING_BYTES + 1), "longer than"),
    ],
)
def test_mappings_that_cannot_be_used(text: str, said: str) -> None:
    with pytest.raises(ImportFileError) as raised:
        CellNames(HEATER, read_mapping(text))
    assert said in str(raised.value)


def test_a_mapped_column_must_be_there() -> None:
    assert "no column 'x'" in fault(line("power", "1"), columns={"x": "temp"})


def test_an_open_type_takes_undeclared_fields_where_they_are_named() -> None:
    data = line("g,extra", "1,2")
    with pytest.raises(ImportFileError):
        read(data, POWER)
    assert payloads(data, POWER, columns={"extra": "extra"}) == [{"g": 1, "extra": 2}]
