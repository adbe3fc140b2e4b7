"""What is published of a device: its configuration for Home Assistant's MQTT discovery, and its state. Pure.

One configuration per device at `<prefix>/device/<object>/config`, with a sensor per declared field, and one state per
device and data type at `greenpower/homeassistant/<object>/<type>`: `{"status", "timestamp", "values": {field: value}}`.
All are retained. What does not belong here: publishing them (`greenpower.homeassistant.publish`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import orjson

from greenpower.bus.message import Message
from greenpower.control.publish import END_TOPIC
from greenpower.datatype import DataType, Field, Kind
from greenpower.homeassistant.sensor_class import sensor_class

STATE_PREFIX = "greenpower/homeassistant/"
MARK_TOPIC = STATE_PREFIX + "mark"
OBJECT_PREFIX = "greenpower_"
NOT_IN_A_TOPIC = re.compile(r"[^a-zA-Z0-9_-]")
ONLINE, OFFLINE = "online", "offline"
HASH_CHARACTERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDevice:
    """A device of the registry. area: the name of its zone, empty for none. readings: by data type, its newest
    reading. statuses: by data type, `online` or `offline`."""

    device_id: str
    name: str = ""
    area: str = ""
    types: tuple[DataType, ...]
    readings: Mapping[str, Message] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)


def object_id(device_id: str) -> str:
    """A device's name in topics and ids. A character that may not be there becomes `_`; a hash then keeps ids apart."""
    plain = NOT_IN_A_TOPIC.sub("_", device_id)
    if plain != device_id:
        plain += "_" + sha256(device_id.encode("utf-8", "surrogatepass")).hexdigest()[:HASH_CHARACTERS]
    return OBJECT_PREFIX + plain


def config_filter(prefix: str) -> str:
    """The topics of all configurations, ours and those of others."""
    return f"{prefix}/device/+/config"


def topics_used(prefix: str) -> tuple[str, ...]:
    """The topics that we must be let publish on and read."""
    return config_filter(prefix), f"{STATE_PREFIX}#", f"{END_TOPIC}#"


def is_ours(prefix: str, topic: str) -> bool:
    """Whether a configuration is one of ours."""
    return topic.startswith(f"{prefix}/device/{OBJECT_PREFIX}")


def messages_of(device: KnownDevice, prefix: str) -> dict[str, bytes]:
    """All that is published of a device, by topic."""
    name = object_id(device.device_id)
    found = {f"{prefix}/device/{name}/config": _encode(_config(device, name))}
    for datatype in device.types:
        if (reading := device.readings.get(datatype.name)) is not None:
            status = device.statuses.get(datatype.name, ONLINE)
            found[_state_topic(name, datatype)] = _encode(_state(datatype, reading, status))
    return found


def _state_topic(name: str, datatype: DataType) -> str:
    return f"{STATE_PREFIX}{name}/{datatype.name}"


def _encode(value: Any) -> bytes:
    # Always the same bytes for the same content: that is how a change is seen.
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _config(device: KnownDevice, name: str) -> dict[str, Any]:
    about = {
        "identifiers": [name],
        "name": device.name or device.device_id,
        "model": ", ".join(datatype.title for datatype in device.types),
        "serial_number": device.device_id,
        **({"suggested_area": device.area} if device.area else {}),
    }
    sensors = {
        f"{datatype.name}_{one.name}": _sensor(name, datatype, one)
        for datatype in device.types
        for one in datatype.fields
    }
    origin = {"name": "Green Power", "sw_version": version("greenpower")}
    return {"device": about, "origin": origin, "components": sensors, "qos": 1}


def _sensor(name: str, datatype: DataType, one: Field) -> dict[str, Any]:
    kind = sensor_class(one)
    topic = _state_topic(name, datatype)
    # A reading may have a part of the fields. Home Assistant ignores an empty number; `None` is its word for unknown.
    missing = "''" if kind.is_number else "'None'"
    sensor: dict[str, Any] = {
        "platform": "sensor",
        "unique_id": f"{name}_{datatype.name}_{one.name}",
        "name": one.title or one.name,
        "state_topic": topic,
        "value_template": f"{{{{ value_json['values'].get('{one.name}', {missing}) }}}}",
        "availability_topic": topic,
        "availability_template": "{{ value_json['status'] }}",
        "device_class": kind.device_class,
        "state_class": kind.state_class,
        "unit_of_measurement": kind.unit,
        "options": sorted(_words(one)) if kind.device_class == "enum" else None,
    }
    return {key: value for key, value in sensor.items() if value is not None}


def _words(one: Field) -> Iterable[str]:
    return {word.strip() for word in one.codes.values()}


def _state(datatype: DataType, reading: Message, status: str) -> dict[str, Any]:
    codes = {one.name: one for one in datatype.fields if one.kind is Kind.ENUMERATION}
    values: dict[str, Any] = {}
    for name, value in reading["payload"].items():
        shown = _word(codes[name], value) if name in codes else value
        if shown is not None:
            values[name] = shown
    return {"status": OFFLINE if status == OFFLINE else ONLINE, "timestamp": reading["timestamp"], "values": values}


def _word(one: Field, value: float) -> str | None:
    """What a code means; None for a code without a name. Bits: the names of those that are set."""
    code = int(value)
    if not one.bits:
        return one.codes[code].strip() if code in one.codes else None
    return ", ".join(word.strip() for bit, word in sorted(one.codes.items()) if code >> bit & 1) or "-"
