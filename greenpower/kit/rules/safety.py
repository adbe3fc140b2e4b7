"""Rule for bad input: for any bytes a parser gives readings that can be stored, or raises FrameError, and it ends.

What belongs here: the input, and what is wrong with a result. What does not: what no parser may take for a reading
(`garbage`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from random import Random
from typing import Any

import bson

from greenpower.datatype import DataType, FrameError, Noted, is_device_id
from greenpower.datatype.check import Checker
from greenpower.datatype.session import Birth
from greenpower.kit.limited import Begin, Overrun, run_limited
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin, RecordedSample
from greenpower.kit.problem import Problem, short, shown
from greenpower.kit.trial import default_topic

MUTATED_FRAMES = 400
#: a topic, and what was said before
Place = tuple[str, tuple[Birth, ...]]
REASON = re.compile(r"[a-z][a-z0-9-]{1,30}")
BAD_FRAGMENTS = (b"", b"NaN", b"1e400", b"9" * 30, b"null", b'""', b"[[[[[[[[[[", b"-", b"\0", b"\xff\xfe")


def check_safety(plugin: Plugin) -> Iterator[Problem]:
    """Known bad input, random bytes and mutated samples are handled safely. The input is the same in every run."""
    for datatype in plugin.datatypes:
        known = [(frame, sample) for sample in plugin.samples_of(datatype) for frame in sample.frames]
        payloads = [*bad_payloads(datatype).values(), *_mutated(known, Random(datatype.name))]
        found = run_limited(partial(_first_problem, datatype, payloads, _places(plugin, datatype)))
        if isinstance(found, Overrun):
            payload, what = payloads[found.step], f"the parser {found.what}"
        elif found:
            number, _, what = found.partition(" ")
            payload = payloads[int(number)]
        else:
            continue
        yield Problem(
            place=f"{shown(plugin.folder)}: {datatype.name}",
            found=f"{what}; frame {short(payload, 80)}, {len(payload)} bytes",
            expected="readings that can be stored, or FrameError",
            fix="raise FrameError(reason, detail), as decode_object, parse_stamp and read_device_id do; make every "
            "loop move on",
            topic=default_topic(datatype),
        )
        return  # the first is enough: the others mostly have the same cause


def _first_problem(datatype: DataType, payloads: Sequence[bytes], places: Sequence[Place], begin: Begin) -> str:
    """The first payload that makes a problem, as its number and the problem; empty if none does."""
    for number, payload in enumerate(payloads):
        begin(number)
        for topic, births in places:
            for device in (None, "DEVICE"):
                if problem := parse_problem(datatype, payload, device, topic, births):
                    return f"{number} {problem}"
    return ""


def _places(plugin: Plugin, datatype: DataType) -> list[Place]:
    """Where frames come: on the first topic; where frames depend on births, on those of samples, with these births."""
    places: dict[str, Place] = {"": ("", ())}
    if datatype.sessions:
        for sample in plugin.samples_of(datatype):
            if sample.topic not in places or sample.before:
                places[sample.topic] = (sample.topic, plugin.births_before(datatype, sample))
    return [*places.values()]


def parse_problem(
    datatype: DataType, payload: bytes, device: str | None, topic: str = "", births: tuple[Birth, ...] = ()
) -> str:
    """What is wrong with the parser's result for a frame; empty if nothing is."""
    checker = Checker(datatype)
    try:
        readings = datatype.parse(frame_of(datatype, topic or default_topic(datatype), device, payload, births))
    except FrameError as error:
        return _reason_problem(error)
    except Exception as error:  # a parser is foreign code: this is what the rule looks for
        return f"the parser raises {type(error).__name__}: {short(str(error), 80)}"
    if not readings:
        return "the parser returns no reading and raises no FrameError"
    for reading in readings:
        if isinstance(reading, Noted):
            if not reading.reason:
                return "a note has no reason"
            continue
        if reading.device_id is None and not datatype.id_in_one_part:
            return "a reading has no device id, and id_in_one_part is not declared"
        if reading.device_id is not None and not is_device_id(reading.device_id):
            return f"the device id {short(reading.device_id, 40)} is not valid"
        document: dict[str, Any] = {"device_id": reading.device_id, "stamp": reading.stamp}
        try:
            document["payload"], document["left_out"] = checker.check(reading.values)
        except FrameError as error:
            if problem := _reason_problem(error):
                return problem
        try:
            bson.encode(document)
        except Exception as error:
            return f"the reading cannot be stored: {type(error).__name__}: {short(str(error), 80)}"
    return ""


def _reason_problem(error: FrameError) -> str:
    """What is wrong with the reason of an error; empty if nothing is."""
    if not REASON.fullmatch(error.reason):
        return f"the reason {error.reason!r} is not 2 to 31 characters of a-z, 0-9 and -"
    return ""


def _mutated(known: list[tuple[bytes, RecordedSample]], random: Random) -> Iterator[bytes]:
    """Frames with parts replaced, moved or repeated, and random bytes."""
    for number in range(MUTATED_FRAMES if known else 0):
        payload = known[number % len(known)][0]
        for _ in range(random.randint(1, 3)):
            start = random.randint(0, len(payload))
            end = random.randint(start, min(len(payload), start + 40))
            piece = random.choice((*BAD_FRAGMENTS, payload[start:end] * 2, random.randbytes(random.randint(1, 8))))
            payload = payload[:start] + piece + payload[end:]
        yield payload
        yield random.randbytes(random.randint(0, 64))


def bad_payloads(datatype: DataType) -> dict[str, bytes]:
    """Known kinds of bad input by name, with the first two fields of a data type under the keys that devices send."""
    keys = [field.sources[-1].encode() for field in datatype.fields[:2]]
    one, two = b'"' + (keys or [b"one"])[0] + b'":', b'"' + (keys or [b"two"])[-1] + b'":'
    named = b'{"id":"M","device":"M",'
    return {
        "an empty frame": b"",
        "random bytes": bytes(range(256)),
        "not UTF-8": b'{"id":"\xff"}',
        "a list": b"[]",
        "an empty object": b"{}",
        "an id of 10 kB": b'{"id":"' + b"M" * 10_240 + b'",' + one + b"1," + two + b"1}",
        "NaN and infinity": named + one + b"NaN," + two + b'1e400,"time":NaN}',
        "integers above 64 bits": named + one + str(10**30).encode() + b"," + two + b"9223372036854775808}",
        "an integer of 5000 digits": named + one + b"9" * 5000 + b"}",
        "a lone surrogate": named + b'"\\ud800":1,' + one + b'"\\udfff"}',
        "repeated keys": named + one + b"1," + one + b"2}",
        "values that are objects": named + one + b'{"value":1},' + two + b"[1]}",
        "100 levels": named + one + b"[" * 100 + b"]" * 100 + b"}",
        "100 000 keys": named + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
        "an operator": named + b'"$where":1}',
        "a path": named + b'"a.b":1}',
        "a NUL": named + b'"a\\u0000b":1}',
        "an impossible date": named + one + b'1,"time":"20261399250000"}',
        "half a Modbus header": bytes.fromhex("01260000"),
        "a repeated point": b'{"data":[{"tp":0,"point":[{"id":1,"val":1},{"id":1,"val":2}]}]}',
        "an infinite time": b'{"data":[{"tp":1e400,"point":[]}]}',
        "malformed points": b'{"data":[{"tp":0,"point":[1,null,{"id":{}}]}]}',
    }
