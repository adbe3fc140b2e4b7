"""Simulated devices: made from data types, each a pure function from time to the frames that it sends.

What belongs here: which devices there are and what one reading of theirs looks like on the wire. What does not: when
they send (`schedule`), what goes wrong (`fault`), sockets (`publisher`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from greenpower.datatype import DataType, Mqtt, Sample, Wire, json_wire
from greenpower.datatype.json_parser import JsonParser
from greenpower.datatype.json_wire import models_of
from greenpower.datatype.wire import Model
from greenpower.simulator.clue import USUAL_ELAPSED
from greenpower.simulator.rewiring import rewired
from greenpower.simulator.value import Measured

#: one device in so many has no load
IDLE_EVERY = 7

#: topic and payload
Packet = tuple[str, bytes]


class CannotSimulate(Exception):
    """A data type says too little for devices to be made from it. The text is one line for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedDevice:
    """A device of one data type. number counts the devices of its type from 0."""

    datatype: DataType
    topic: str
    wire: Wire
    device_id: str
    number: int
    model: Model
    measured: Measured
    zone: tzinfo

    def sample(self, at: datetime, since: datetime | None = None) -> Sample:
        """What it measures at a time (aware). since: of its last message, from which on deltas count."""
        stamp = at.astimezone(self.zone)
        return Sample(device_id=self.device_id, model=self.model, stamp=stamp, values=self.measure(at, since))

    def measure(self, at: datetime, since: datetime | None = None) -> Mapping[str, float]:
        """The values at a time (aware), by field. since: as for `sample`; None: a minute ago."""
        elapsed = USUAL_ELAPSED if since is None else max(0.0, (at - since).total_seconds())
        return self.measured.at(*local_seconds(at, self.zone), elapsed)

    def measure_rewired(self, at: datetime, since: datetime | None, wiring: str) -> Mapping[str, float]:
        """The same of a device that is wired with a fault."""
        values, (second, _) = self.measure(at, since), local_seconds(at, self.zone)
        return rewired(self.datatype.fields, values, wiring, self.measured.feeder, second)

    def send(self, sample: Sample) -> list[Packet]:
        """The packets of a reading, in the order sent."""
        return [(self.topic, payload) for payload in self.wire.encode(sample)]


def frames(device: SimulatedDevice, at: datetime) -> list[Packet]:
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
        message_id=parse.message_key,
        each=parse.each,
        time_form=parse.time_form,
        models=models_of(datatype.fields),
    )


def places_of(datatype: DataType, ids: str, count: int, seed: int) -> list[tuple[str, str]]:
    """Topics with their devices' ids: those that claims give, else `count` made by a pattern. Raises CannotSimulate."""
    claims = [claim for claim in datatype.topics if not claim.noted]
    given = [(claim.topic, claim.device) for claim in claims if claim.is_exact and claim.device is not None]
    if given:
        return given
    for claim in claims:
        if claim.is_exact or claim.narrowed(device_name(ids, seed, 0)) not in (None, claim.filter):
            names = [device_name(ids, seed, number) for number in range(count if "#" in ids else 1)]
            return [(topic_for(claim, name), name) for name in names]
    raise CannotSimulate(f"{datatype.name}: it claims no topic that a device could send to")


def topic_for(claim: Mqtt, device_id: str) -> str:
    """A topic that falls under a claim, with the device's id where the claim looks for it."""
    own = claim.narrowed(device_id) or claim.filter
    return "/".join(level if level != "+" else "simulated" for level in own.split("/") if level != "#")


def make_devices(datatype: DataType, count: int, seed: int, zone: tzinfo) -> list[SimulatedDevice]:
    """`count` devices of a data type, or those that its topics name. Raises CannotSimulate."""
    wire = wire_of(datatype)
    # A site may have narrowed what is plausible of the fields that the wire format was declared with.
    declared = {field.name: field for field in datatype.fields}
    fields = {field.name: declared.get(field.name, field) for field in wire.fields}
    devices = []
    for number, (topic, device_id) in enumerate(places_of(datatype, wire.ids, count, seed)):
        model = wire.models[number % len(wire.models)]
        measured = Measured(
            (fields[name] for name in model.fields or fields),
            f"{seed}/{device_id}",
            about=datatype.title,
            phases=model.phases,
            idle=number % IDLE_EVERY == IDLE_EVERY - 1,
        )
        devices.append(
            SimulatedDevice(
                datatype=datatype, topic=topic, wire=wire, device_id=device_id, number=number, model=model,
                measured=measured, zone=zone,
            )
        )  # fmt: skip
    return devices


def device_name(pattern: str, seed: int, number: int, first: int = 0) -> str:
    """The id of the nth device (from 0) of a seed: the `#` of the pattern become digits, which count from `first`."""
    digits = pattern.count("#")
    space = 10**digits - first
    text = str(first + (seed * 1000 + number + 1) % space).zfill(digits) if digits else ""
    parts = iter(text)
    return "".join(next(parts) if char == "#" else char for char in pattern)
