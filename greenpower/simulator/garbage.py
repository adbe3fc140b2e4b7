"""What is no reading: frames that a data type must refuse, each for a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from random import Random

from greenpower.datatype import DataType, Frame, FrameError
from greenpower.datatype.check import Checker

OVERSIZE = 300_000


def _object(**members: object) -> bytes:
    return json.dumps({"id": "GARBAGE-0001", "time": "20260101000000", **members}).encode()


#: why it is bad -> the bytes, made with a source of chance
GARBAGE_FRAMES: dict[str, Callable[[Random], bytes]] = {
    "nothing": lambda random: b"",
    "random bytes": lambda random: b"\xff" + random.randbytes(random.randint(1, 200)),
    "not JSON": lambda random: b'{"id":"GARBAGE-0001","ua":229.097,"ub":',
    "not UTF-8": lambda random: b'{"id":"GARBAGE-\xc3\x28","ua":1.5}',
    "no object": lambda random: b"[1, 2, 3]",
    "a string": lambda random: b'"hello"',
    "an endless id": lambda random: _object(id="X" * 10_000, ua=1.5),
    "an id that is none": lambda random: _object(id={"a": 1}, ua=1.5),
    "a stamp that is none": lambda random: _object(time="20261399250000", ua=1.5),
    "numbers that are none": lambda random: b'{"id":"GARBAGE-0001","ua":NaN,"ub":1e400,"uc":-Infinity}',
    "numbers that nothing holds": lambda random: b'{"id":"GARBAGE-0001","ua":%d,"ub":%d}' % (10**30, 2**63),
    "a number of 5000 digits": lambda random: b'{"id":"GARBAGE-0001","ua":' + b"9" * 5000 + b"}",
    "no number at all": lambda random: _object(ua="", ub=None, uc="n/a"),
    "a key twice": lambda random: b'{"id":"GARBAGE-0001","ua":1.5,"ua":2.5}',
    "nested": lambda random: b'{"id":' + b"[" * 100 + b"]" * 100 + b"}",
    "too many keys": lambda random: _object(**{f"k{number}": number for number in range(3_000)}),
    "a bad key": lambda random: _object(**{random.choice(("$where", "a.b", "a\0b", "\ud800")): 1.5}),
    "too long": lambda random: b" " * OVERSIZE + _object(),
}


def garbage(random: Random, datatype: DataType) -> bytes:
    """One of them that this type refuses: a type without ids reads some that others cannot."""
    payload = GARBAGE_FRAMES[random.choice(tuple(GARBAGE_FRAMES))](random)
    return payload if is_refused(datatype, payload) else GARBAGE_FRAMES["not JSON"](random)


def is_refused(datatype: DataType, payload: bytes) -> bool:
    """Whether nothing in a payload would be stored."""
    checker = _checker(datatype)
    try:
        for reading in datatype.parse(Frame(topic="", payload=payload, device="GARBAGE-0001")):
            checker.check(reading.values)
    except FrameError:
        return True
    return False


@lru_cache
def _checker(datatype: DataType) -> Checker:
    return Checker(datatype)
