"""Simulated devices that send each value on a topic of its own: the inverse of `value_parser`.

What belongs here: the topics of a device, and one value as it is sent. What does not: which values (`value`), devices
that send objects (`device`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo

from greenpower.datatype import DataType, Field, Frame, FrameError, Mqtt, Noted, Sample, json_wire
from greenpower.datatype.json_path import build, parts_of
from greenpower.datatype.topic import NAME_IN_TEXT, NAMED_LEVEL, fill_names, plain_filter
from greenpower.datatype.value import ValueParser
from greenpower.datatype.wire import decimals_of
from greenpower.simulator.device import CannotSimulate, Packet, SimulatedDevice, device_name
from greenpower.simulator.value import Measured

#: the first level that names a device has the number; the others are alike
DEVICE_LEVEL, OTHER_LEVEL = "simulated####", "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDevice(SimulatedDevice):
    """topics: those of its fields, by name."""

    topics: dict[str, str]

    def send(self, sample: Sample) -> list[Packet]:
        """A packet for each value."""
        fields = {field.name: field for field in self.datatype.fields}
        parse = self.datatype.parse
        assert isinstance(parse, ValueParser)
        return [
            (self.topics[name], encode_value(parse, fields[name], value, sample))
            for name, value in sample.values.items()
            if name in self.topics
        ]


def encode_value(parse: ValueParser, field: Field, value: float, sample: Sample) -> bytes:
    """A value in the unit of its field as the device sends it: a word, a number, or an object with it."""
    words = [word for word, number in field.words.items() if number == value]
    sent: str | float = words[0] if words else _rounded(field, value)
    if parse.value_path is None:
        return (sent if isinstance(sent, str) else json.dumps(sent)).encode()
    parts = [(parts_of(parse.value_path), sent)]
    if parse.time_path is not None:
        parts.append((parts_of(parse.time_path), sample.stamp.isoformat()))
    return json.dumps(build(parts)).encode()


def _rounded(field: Field, value: float) -> float:
    decimals = decimals_of(field)
    if field.conversion is not None:
        decimals = max(0, decimals + round(math.log10(abs(field.conversion.factor))))
        value = field.as_sent(value)
    return round(value, decimals) if decimals else round(value)


def make_value_devices(datatype: DataType, count: int, seed: int, zone: tzinfo) -> list[SimulatedDevice]:
    """`count` devices of a type whose devices send single values. Raises CannotSimulate."""
    if not datatype.fields:
        raise CannotSimulate(f"{datatype.name}: it has no fields; name them in the site file")
    claim, topics, pattern = max(
        ((claim, *_topics(datatype, claim)) for claim in datatype.topics if not claim.noted),
        key=lambda found: len(found[1]),
    )
    if not topics:
        raise CannotSimulate(f"{datatype.name}: no topic was found on which a device sends a field")
    fields = {field.name: field for field in datatype.fields if field.name in topics}
    wire = json_wire(tuple(fields.values()), ids=pattern)
    devices: list[SimulatedDevice] = []
    for number in range(count if "#" in pattern else 1):
        level = device_name(DEVICE_LEVEL, seed, number)
        name = device_name(pattern, seed, number)
        devices.append(
            ValueDevice(
                datatype=datatype, topic=plain_filter(claim.topic), wire=wire, device_id=name, number=number,
                model=wire.models[0], zone=zone,
                measured=Measured(fields.values(), f"{seed}/{name}", about=datatype.title),
                topics={key: topic.replace(DEVICE_LEVEL, level) for key, topic in topics.items()},
            )
        )  # fmt: skip
    return devices


def _topics(datatype: DataType, claim: Mqtt) -> tuple[dict[str, str], str]:
    """The topics of fields under a claim, and the pattern of its devices' ids."""
    parse = datatype.parse
    assert isinstance(parse, ValueParser)
    pattern = claim.device or "{device}"
    named = NAME_IN_TEXT.findall(pattern)
    if parse.field_level not in claim.level_names or parse.field_level in named:
        return {}, ""  # each value would be of a device of its own
    levels = dict(_levels(claim, parse.field_level, named))
    whole = claim.topic.split("/")
    found: dict[str, str] = {}
    for field in datatype.fields:
        own = {**levels, parse.field_level: field.sources[0] if field.sources else field.name}
        topic = "/".join(own[at[1]] if (at := NAMED_LEVEL.fullmatch(level)) else level for level in whole)
        if _is_read(datatype, topic, field):
            found[field.name] = topic
    return found, fill_names(pattern, levels) if named else pattern


def _levels(claim: Mqtt, field_level: str, of_device: list[str]) -> Iterator[tuple[str, str]]:
    """What stands in the named levels, other than the field."""
    for name in claim.level_names:
        if name != field_level:
            yield name, DEVICE_LEVEL if of_device and name == of_device[0] else OTHER_LEVEL


def _is_read(datatype: DataType, topic: str, field: Field) -> bool:
    """Whether a value on a topic is read as this field: another claim may say that it is none."""
    claims = [claim for claim in datatype.topics if claim.matches(topic)]
    if not claims or any(claim.noted for claim in claims):
        return False
    at = claims[0].at(topic)
    try:
        readings = datatype.parse(
            Frame(topic=topic, payload=_probe(datatype), device=at.device, levels=claims[0].levels(topic))
        )
    except FrameError:
        return False
    return any(not isinstance(reading, Noted) and reading.values for reading in readings)


def _probe(datatype: DataType) -> bytes:
    parse = datatype.parse
    assert isinstance(parse, ValueParser)
    return b"1" if parse.value_path is None else json.dumps(build([(parts_of(parse.value_path), 1)])).encode()
