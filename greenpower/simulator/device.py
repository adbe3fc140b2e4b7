"""Simulated devices: made from data types, each a pure function from time to the frames that it sends.

What belongs here: which devices there are and what one reading of theirs looks like on the wire. What does not: when
they send (`schedule`), what goes wrong (`fault`), sockets (`publisher`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from greenpower.datatype import DataType, Mqtt, Sample, Wire, json_wire
from greenpower.datatype.json import JsonParser
from greenpower.datatype.wire import Model
from greenpower.simulator.value import Measured

#: every so many-th device is connected to nothing
IDLE_EVERY = 7

#: topic and payload
Packet = tuple[str, bytes]


class CannotSimulate(Exception):
    """A data type says too little for devices to be made from it. The text is one line for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device of one data type. number counts the devices of its type from 0."""

    datatype: DataType
    claim: Mqtt
    wire: Wire
    device_id: str
    number: int
    model: Model
    measured: Measured
    zone: tzinfo

    def sample(self, at: datetime) -> Sample:
        """What it measures at a time (aware)."""
        values = self.measured.at(*local_seconds(at, self.zone))
        return Sample(device_id=self.device_id, model=self.model, stamp=at.astimezone(self.zone), values=values)

    def send(self, sample: Sample) -> list[Packet]:
        """The packets of a reading, in the order sent."""
        return [(self.claim.topic, payload) for payload in self.wire.encode(sample)]


def frames(device: Device, at: datetime) -> list[Packet]:
    """What a device sends at a time: (topic, payload), in order. The same device and time give the same bytes."""
    return device.send(device.sample(at))


def local_seconds(at: datetime, zone: tzinfo) -> tuple[float, float]:
    """Local seconds of a time, and how far they are ahead of UTC.

    Days of the load follow standard time, so that registers do not fall when DST ends.
    """
    local = at.astimezone(zone)
    east = ((local.utcoffset() or timedelta()) - (local.dst() or timedelta())).total_seconds()
    return at.timestamp() + east, east


def wire_of(datatype: DataType) -> Wire:
    """The wire format of a data type: declared, else the inverse of its JSON parser. Raises CannotSimulate."""
    if datatype.wire is not None:
        return datatype.wire
    parse = datatype.parse
    if not isinstance(parse, JsonParser):
        raise CannotSimulate(f"{datatype.name}: it declares no wire format, and its parser is not for flat JSON")
    return json_wire(
        datatype.fields,
        ids=f"SIMULATED-{datatype.name.upper()}-####",
        device=parse.device_key,
        time=parse.time_key,
        complete=parse.complete_key,
    )


def topic_of(datatype: DataType) -> Mqtt:
    """The claim that its readings come on. Raises CannotSimulate."""
    for claim in datatype.topics:
        if claim.is_exact and not claim.noted:
            return claim
    raise CannotSimulate(f"{datatype.name}: it claims no topic that a device could send to")


def make_devices(datatype: DataType, count: int, seed: int, zone: tzinfo) -> list[Device]:
    """Up to `count` devices of a data type: only one where the id is given by the topic. Raises CannotSimulate."""
    wire, claim = wire_of(datatype), topic_of(datatype)
    given = claim.device
    fields = {field.name: field for field in wire.fields}
    devices = []
    for number in range(1 if given else count):
        device_id = given or device_name(wire.ids, seed, number)
        model = wire.models[number % len(wire.models)]
        measured = Measured(
            (fields[name] for name in model.fields or fields),
            f"{seed}/{device_id}",
            about=datatype.title,
            phases=model.phases,
            idle=number % IDLE_EVERY == IDLE_EVERY - 1,
        )
        devices.append(
            Device(
                datatype=datatype, claim=claim, wire=wire, device_id=device_id, number=number, model=model,
                measured=measured, zone=zone,
            )
        )  # fmt: skip
        if "#" not in wire.ids:
            break
    return devices


def device_name(pattern: str, seed: int, number: int, first: int = 0) -> str:
    """The id of the nth device (from 0) of a seed: the `#` of the pattern become digits, which count from `first`."""
    digits = pattern.count("#")
    space = 10**digits - first
    text = str(first + (seed * 1000 + number + 1) % space).zfill(digits) if digits else ""
    parts = iter(text)
    return "".join(next(parts) if char == "#" else char for char in pattern)
