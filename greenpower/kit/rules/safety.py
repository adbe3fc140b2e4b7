"""Any bytes are safe: whatever comes, a parser gives readings that can be stored, or FrameError."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random
from typing import Any

import bson

from greenpower.datatype import DataType, Frame, FrameError, is_device_id
from greenpower.datatype.check import Checker
from greenpower.kit.plugin import Plugin, RecordedSample
from greenpower.kit.problem import Problem, short, shown

MUTATIONS = 400
REASON = re.compile(r"[a-z][a-z0-9-]{1,30}")
PIECES = (b"", b"NaN", b"1e400", b"9" * 30, b"null", b'""', b"[[[[[[[[[[", b"-", b"\0", b"\xff\xfe")
DO = "raise FrameError(reason, detail) for it; decode_object, parse_stamp and is_device_id do so for theirs"


def check_safety(plugin: Plugin) -> Iterator[Problem]:
    """Bad input of every known sort, random bytes, and samples that were mutilated; the same ones in each run."""
    for datatype in plugin.datatypes:
        known = [(frame, sample) for sample in plugin.samples_of(datatype) for frame in sample.frames]
        for payload in (*bad_payloads(datatype).values(), *_mutilated(known, Random(datatype.name))):
            for device in (None, "DEVICE"):
                if fault := unsafe(datatype, payload, device):
                    yield Problem(
                        place=f"{shown(plugin.folder)}: {datatype.name}",
                        found=f"{fault}, on {short(payload, 80)}, {len(payload)} bytes",
                        expected="readings that can be stored, or FrameError",
                        do=DO,
                    )
                    return  # one is enough to work on, and the others are mostly the same


def unsafe(datatype: DataType, payload: bytes, device: str | None) -> str:
    """What is wrong with what a parser makes of a frame; empty where nothing is."""
    checker = Checker(datatype)
    try:
        readings = datatype.parse(Frame(topic="t", payload=payload, device=device))
    except FrameError as error:
        return _bad_error(error)
    except Exception as error:  # a parser is foreign code: this is what is looked for
        return f"the parser raises {type(error).__name__}: {short(str(error), 80)}"
    if not readings:
        return "the parser gives neither a reading nor FrameError"
    for reading in readings:
        if reading.device_id is None and not datatype.id_in_one_part:
            return "a reading without a device id, and id_in_one_part is not declared"
        if reading.device_id is not None and not is_device_id(reading.device_id):
            return f"the device id {short(reading.device_id, 40)}, which cannot name a device"
        document: dict[str, Any] = {"device_id": reading.device_id, "stamp": reading.stamp}
        try:
            document["payload"], document["left_out"] = checker.check(reading.values)
        except FrameError as error:
            if fault := _bad_error(error):
                return fault
        try:
            bson.encode(document)
        except Exception as error:
            return f"what cannot be stored: {type(error).__name__}: {short(str(error), 80)}"
    return ""


def _bad_error(error: FrameError) -> str:
    if not REASON.fullmatch(error.reason):
        return f"the reason {error.reason!r}, which is no short word of a-z, 0-9 and -"
    return ""


def _mutilated(known: list[tuple[bytes, RecordedSample]], random: Random) -> Iterator[bytes]:
    """Frames with stretches replaced, moved or repeated, and random bytes."""
    for number in range(MUTATIONS if known else 0):
        payload = known[number % len(known)][0]
        for _ in range(random.randint(1, 3)):
            start = random.randint(0, len(payload))
            end = random.randint(start, min(len(payload), start + 40))
            piece = random.choice((*PIECES, payload[start:end] * 2, random.randbytes(random.randint(1, 8))))
            payload = payload[:start] + piece + payload[end:]
        yield payload
        yield random.randbytes(random.randint(0, 64))


def bad_payloads(datatype: DataType) -> dict[str, bytes]:
    """Bad input of every known sort, with the first two fields of a data type as devices send them."""
    keys = [field.sources[-1].encode() for field in datatype.fields[:2]]
    one, two = b'"' + (keys or [b"one"])[0] + b'":', b'"' + (keys or [b"two"])[-1] + b'":'
    named = b'{"id":"M","device":"M",'
    return {
        "nothing": b"",
        "random bytes": bytes(range(256)),
        "not UTF-8": b'{"id":"\xff"}',
        "no object": b"[]",
        "no id": b"{}",
        "an id of 10 kB": b'{"id":"' + b"M" * 10_240 + b'",' + one + b"1," + two + b"1}",
        "numbers that are none": named + one + b"NaN," + two + b'1e400,"time":NaN}',
        "integers that BSON has not": named + one + str(10**30).encode() + b"," + two + b"9223372036854775808}",
        "an integer of 5000 digits": named + one + b"9" * 5000 + b"}",
        "a lone surrogate": named + b'"\\ud800":1,' + one + b'"\\udfff"}',
        "repeated keys": named + one + b"1," + one + b"2}",
        "values that are objects": named + one + b'{"value":1},' + two + b"[1]}",
        "100 levels": named + one + b"[" * 100 + b"]" * 100 + b"}",
        "100 000 keys": named + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
        "an operator": named + b'"$where":1}',
        "a path": named + b'"a.b":1}',
        "a NUL": named + b'"a\\u0000b":1}',
        "no date": named + one + b'1,"time":"20261399250000"}',
        "half a Modbus header": bytes.fromhex("01260000"),
        "a point twice": b'{"data":[{"tp":0,"point":[{"id":1,"val":1},{"id":1,"val":2}]}]}',
        "a time that is none": b'{"data":[{"tp":1e400,"point":[]}]}',
        "points that are none": b'{"data":[{"tp":0,"point":[1,null,{"id":{}}]}]}',
    }
