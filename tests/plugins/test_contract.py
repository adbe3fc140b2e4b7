"""Every rule for plugins, on every plugin. A new plugin is tested by being there."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from statistics import median
from typing import Any

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.commands.docs import readmes
from greenpower.datatype import UNITS, DataType, Frame, FrameError, Kind, is_device_id, normalise
from greenpower.datatype.check import Checker
from greenpower.framing.poll import ModbusPoll
from tests.plugins.sample import Sample, claimed_by, folders, outcome, registry, samples

REGISTRY = registry()
SAMPLES = samples()
FOLDERS = folders()
ENERGY = {"Wh", "kWh", "kvarh", "kVAh"}

every_type = pytest.mark.parametrize("datatype", tuple(REGISTRY), ids=lambda datatype: datatype.name)
every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)


@every_folder
def test_a_folder_holds_a_declaration_a_readme_and_samples(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()
    assert (folder / "README.md").is_file()
    assert any((folder / "samples").iterdir())
    origins = [item.origin for item in REGISTRY.loaded]
    first = REGISTRY.loaded[origins.index(f"plugins.{folder.name}")]
    assert first.datatype.name == folder.name


@every_folder
def test_the_readme_shows_the_fields_as_they_are_and_names_every_claim(folder: Path) -> None:
    path = folder / "README.md"
    text = path.read_text("utf-8")
    assert readmes()[path] == text, "run greenpower docs fields --write"
    for item in REGISTRY.loaded:
        if item.origin == f"plugins.{folder.name}":
            for topic in item.datatype.topics:
                assert topic.topic in text
            for gateway in item.datatype.gateways:
                assert gateway.registration.rstrip("#") in text


def test_the_median_plugin_is_short() -> None:
    lengths = [sum(len(path.read_text("utf-8").splitlines()) for path in folder.glob("*.py")) for folder in FOLDERS]
    assert median(lengths) < 120


@every_sample
def test_a_sample_is_claimed_by_one_type_of_its_plugin_and_says_what_is_expected(sample: Sample) -> None:
    ((datatype, device),) = claimed_by(REGISTRY, sample.topic)
    origin = next(item.origin for item in REGISTRY.loaded if item.datatype is datatype)
    assert origin == f"plugins.{sample.plugin}"
    assert sample.frames
    found = [item for frame in sample.frames for item in outcome(datatype, sample.topic, device, frame)]
    assert found == sample.expected


@every_type
def test_every_type_has_a_sample_that_is_a_reading(datatype: DataType) -> None:
    mine = [sample for sample in SAMPLES if claimed_by(REGISTRY, sample.topic)[0][0] is datatype]
    assert any("payload" in item for sample in mine for item in sample.expected)


@every_sample
def test_parsing_is_pure(sample: Sample) -> None:
    ((datatype, device),) = claimed_by(REGISTRY, sample.topic)
    for payload in sample.frames:
        frame = Frame(topic=sample.topic, payload=payload, device=device)
        before = copy.deepcopy(frame)
        assert parsed(datatype, frame) == parsed(datatype, frame)
        assert frame == before


def parsed(datatype: DataType, frame: Frame) -> str:
    try:
        return repr(datatype.parse(frame))
    except FrameError as error:
        return repr(error)


def mutilated(data: st.DataObject, payload: bytes) -> bytes:
    """A frame with a stretch of it replaced, moved or repeated."""
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 40)))
    piece = data.draw(
        st.binary(max_size=8)
        | st.sampled_from(
            [b"", payload[start:end] * 2, b"NaN", b"1e400", b"9" * 30, b"null", b'""', b"[[[[[[[[[[", b"-"]
        )
    )
    return payload[:start] + piece + payload[end:]


@every_type
@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_readings_that_can_be_stored_or_a_frame_error(datatype: DataType, data: st.DataObject) -> None:
    known = [
        frame for sample in SAMPLES if claimed_by(REGISTRY, sample.topic)[0][0] is datatype for frame in sample.frames
    ]
    payload = data.draw(st.sampled_from(known))
    for _ in range(data.draw(st.integers(1, 3))):
        payload = mutilated(data, payload)
    check_safe(datatype, payload, data.draw(st.sampled_from([None, "DEVICE"])))
    check_safe(datatype, data.draw(st.binary(max_size=64)), "DEVICE")


def check_safe(datatype: DataType, payload: bytes, device: str | None) -> None:
    checker = Checker(datatype)
    try:
        readings = datatype.parse(Frame(topic="t", payload=payload, device=device))
    except FrameError as error:
        check_error(error)
        return
    assert readings
    for reading in readings:
        assert reading.device_id is None or is_device_id(reading.device_id)
        assert reading.device_id is not None or datatype.id_in_one_part
        document: dict[str, Any] = {
            "device_id": reading.device_id,
            "stamp": reading.stamp,
            "complete": reading.complete,
        }
        try:
            document["payload"], document["left_out"] = checker.check(reading.values)
        except FrameError as error:
            check_error(error)
        bson.encode(document)


def check_error(error: FrameError) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,30}", error.reason)
    bson.encode({"reason": error.reason, "detail": error.detail})


BAD = {
    "nothing": b"",
    "random bytes": bytes(range(256)),
    "not UTF-8": b'{"id":"\xff"}',
    "no object": b"[]",
    "no id": b"{}",
    "an id of 10 kB": b'{"id":"' + b"M" * 10_240 + b'","ua":1,"zygsz":1}',
    "numbers that are none": b'{"id":"M","ua":NaN,"zygsz":1e400,"time":NaN}',
    "integers that BSON has not": b'{"id":"M","ua":' + str(10**30).encode() + b',"zygsz":9223372036854775808}',
    "an integer of 5000 digits": b'{"id":"M","ua":' + b"9" * 5000 + b"}",
    "a lone surrogate": b'{"id":"M","\\ud800":1,"ua":"\\udfff"}',
    "repeated keys": b'{"id":"M","ua":1,"ua":2}',
    "100 levels": b'{"id":"M","ua":' + b"[" * 100 + b"]" * 100 + b"}",
    "100 000 keys": b'{"id":"M",' + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
    "an operator": b'{"id":"M","$where":1}',
    "a path": b'{"id":"M","a.b":1}',
    "a NUL": b'{"id":"M","a\\u0000b":1}',
    "no date": b'{"id":"M","ua":1,"zygsz":1,"time":"20261399250000"}',
    "half a Modbus header": bytes.fromhex("01260000"),
    "a point twice": b'{"data":[{"tp":0,"point":[{"id":1,"val":1},{"id":1,"val":2}]}]}',
    "a time that is none": b'{"data":[{"tp":1e400,"point":[]}]}',
    "points that are none": b'{"data":[{"tp":0,"point":[1,null,{"id":{}}]}]}',
}


@every_type
@pytest.mark.parametrize("payload", BAD.values(), ids=BAD)
def test_bad_input_is_no_accident(datatype: DataType, payload: bytes) -> None:
    check_safe(datatype, payload, None)
    check_safe(datatype, payload, "DEVICE")


@every_type
def test_every_field_says_what_it_is_and_can_be_reached(datatype: DataType) -> None:
    checker = Checker(datatype)
    for field in datatype.fields:
        assert field.title, field.name
        assert field.unit in UNITS
        assert normalise(field.name) == field.name
        low = -1 if field.low is None else field.low
        value = low + 1 if field.high is None else (low + field.high) / 2 or field.high
        for key in field.sources:
            for sent in {key, key.upper(), key.lower()}:
                assert checker.check({sent: value}) == ({field.name: value}, {})
        if isinstance(datatype.parse, ModbusPoll):
            assert field.name in datatype.parse.fields


@every_type
def test_registers_are_counters_with_a_greatest_rise_and_nothing_else_is(datatype: DataType) -> None:
    for field in datatype.fields:
        if field.unit in ENERGY:
            assert field.kind is Kind.COUNTER, field.name
        if field.kind is Kind.COUNTER:
            assert field.low == 0, field.name
            assert field.greatest_rate is not None, field.name
        if field.kind is Kind.ANGLE:
            assert field.unit == "°", field.name


@every_type
def test_every_declared_value_a_poll_reads_is_a_field(datatype: DataType) -> None:
    if isinstance(datatype.parse, ModbusPoll):
        assert datatype.parse.fields == {field.name for field in datatype.fields}
