"""Rule for garbage: what is no frame of the device is rejected or noted, and never becomes a reading."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from random import Random

from greenpower.datatype import DataType, FrameError
from greenpower.datatype.check import Checker
from greenpower.datatype.session import Birth
from greenpower.kit.limited import Begin, Overrun, run_limited
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown
from greenpower.kit.trial import default_topic

#: what networks, proxies and other devices send instead of a frame
GARBAGE_FRAMES = (
    b"", b" ", b"\n", b"{}", b"[]", b"null", b"OK", b"offline", b"not found", b"\0" * 8, b"\0" * 64, b"\xff" * 16,
    b"<html><body><h1>502 Bad Gateway</h1></body></html>", b"ERROR 404 at 12:00:01, retry in 30 s",
    b'{"error":"not found"}', b'{"message":"busy","status":"retry"}', bytes(range(256)),
)  # fmt: skip
RANDOM_FRAMES = 48
MIN_RANDOM_BYTES, MAX_RANDOM_BYTES = 8, 96
#: a frame of random bytes may be right by chance
MAX_RANDOM_READINGS = 2


def check_garbage(plugin: Plugin) -> Iterator[Problem]:
    """Known garbage is no reading, and neither are random bytes, but for chance. The input is the same in every run."""
    for datatype in plugin.datatypes:
        topics: dict[str, tuple[Birth, ...]] = {}
        for sample in plugin.samples_of(datatype):
            topics[sample.topic] = topics.get(sample.topic) or plugin.births_before(datatype, sample)
        for topic, births in (topics or {default_topic(datatype): ()}).items():
            random = Random(datatype.name)
            lengths = [random.randint(MIN_RANDOM_BYTES, MAX_RANDOM_BYTES) for _ in range(RANDOM_FRAMES)]
            payloads = [*GARBAGE_FRAMES, *(random.randbytes(length) for length in lengths)]
            device = dict(plugin.claimed(topic)).get(datatype)
            if found := _mistake(run_limited(partial(_readings, datatype, topic, device, births, payloads))):
                number, what, field = found
                yield Problem(
                    place=f"{shown(plugin.folder)}: {datatype.name}",
                    found=f"{what}; frame {short(payloads[number], 80)}, {len(payloads[number])} bytes",
                    expected="FrameError, since no device of this type sends that",
                    fix="check what tells a frame from others: its length, its first bytes, a checksum, its keys",
                    field=field,
                    topic=topic,
                )
                break


def _mistake(result: str | Overrun) -> tuple[int, str, str] | None:
    """What is wrong with the readings of garbage: (number of the frame, what, fields); None if nothing is."""
    if isinstance(result, Overrun):
        return result.step, f"the parser {result.what}", ""
    read = {int(number): ", ".join(names) for number, names in json.loads(result).items()}
    if not read:
        return None
    number = min(read)
    if number < len(GARBAGE_FRAMES):
        return number, f"garbage is read as a reading of {read[number]}", read[number]
    if len(read) > MAX_RANDOM_READINGS:
        return number, f"{len(read)} of {RANDOM_FRAMES} frames of random bytes are readings", read[number]
    return None


def _readings(
    datatype: DataType,
    topic: str,
    device: str | None,
    births: tuple[Birth, ...],
    payloads: Sequence[bytes],
    begin: Begin,
) -> str:
    """The frames that are read as readings, as JSON: {number: fields}."""
    checker = Checker(datatype)
    found: dict[int, list[str]] = {}
    for number, payload in enumerate(payloads):
        begin(number)
        try:
            for reading in datatype.parse(frame_of(datatype, topic, device or "DEVICE", payload, births)):
                if reading.values:
                    found[number] = [*checker.check(reading.values)[0]]
        except FrameError:
            continue
        except Exception:  # the rule for any bytes finds it
            continue
    return json.dumps(found)
