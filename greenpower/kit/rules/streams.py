"""Frames that come twice, in another order or in pieces mean the same; simulated devices are understood."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from math import isclose

from greenpower.datatype import DataType, FrameError, Tcp
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.outcome import Merged, merged
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown
from greenpower.simulator.device import CannotSimulate, SimulatedDevice
from greenpower.simulator.fleet import make_fleet
from greenpower.simulator.gateway import Requests, SimulatedGateway

SAMPLE_TIME = datetime(2026, 11, 23, 13, 30, 7, tzinfo=UTC)
#: devices of a type, so that each model is among them, and one that is connected to nothing
DEVICES = 8
SPLIT_FRAMES = (1, 2, 3)


def check_streams(plugin: Plugin) -> Iterator[Problem]:
    """Samples doubled and turned round are stored as they were; gateways' streams may be cut anywhere."""
    for datatype in plugin.datatypes:
        for sample in plugin.samples_of(datatype):
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            once = merged(datatype, device, sample.frames, sample.topic)
            for what, frames in (
                ("twice each", [frame for frame in sample.frames for _ in range(2)]),
                ("twice, one after the other", [*sample.frames, *sample.frames]),
                ("last frame first", sample.frames[::-1]),
            ):
                again = merged(datatype, device, frames, sample.topic)
                if again != once:
                    yield Problem(
                        place=shown(sample.folder),
                        found=f"sent {what}, it is stored as {short(again)}",
                        expected=f"as if it had been sent once: {short(once)}",
                        do="keep nothing between frames, and let each frame carry its own stamp and device",
                    )
        for claim in datatype.gateways:
            yield from _cut(plugin, datatype, claim)


def _cut(plugin: Plugin, datatype: DataType, claim: Tcp) -> Iterator[Problem]:
    """A gateway's bytes, whole, one by one, and with its heartbeats doubled, become the same frames."""
    if not isinstance(datatype.parse, ModbusPoll):
        return
    gateway = make_fleet([datatype], 1, 0, UTC).gateways[0]
    whole = _talk(gateway, claim, pieces=False, doubled=False)
    for what, pieces, doubled in (("byte by byte", True, False), ("with doubled heartbeats", False, True)):
        found = _talk(gateway, claim, pieces=pieces, doubled=doubled)
        if found != whole or not whole:
            yield Problem(
                place=f"{shown(plugin.folder)}: {datatype.name}",
                found=f"a round {what} gives {short(found)}",
                expected=f"what it gives at once: {short(whole)}",
                do="mend dialogue=: where a message ends is known from the message, not from the read",
            )


def _talk(gateway: SimulatedGateway, claim: Tcp, *, pieces: bool, doubled: bool) -> list[bytes]:
    """The frames of a round of heartbeats and answers."""
    dialogue = claim.dialogue(claim)
    requests = Requests()
    now = 0.0

    def send(data: bytes) -> None:
        for piece in [bytes([byte]) for byte in data] if pieces else [data]:
            dialogue.receive(piece, now)

    try:
        for _ in range(len(gateway.poll.requests)):
            send(gateway.heartbeat * (2 if doubled else 1))
            while asked := requests.receive(dialogue.take_output()):
                for request in asked:
                    send(gateway.answer(request, SAMPLE_TIME))
            now += 1
    except FrameError as error:
        return [f"{error.reason}: {error.detail}".encode()]
    return [payload for payload, _ in dialogue.take_frames()][:1]


def check_simulated(plugin: Plugin) -> Iterator[Problem]:
    """Devices can be made from the declaration, and what they send, in however many packets, is read back."""
    for datatype in plugin.datatypes:
        place = f"{shown(plugin.folder)}: {datatype.name}"
        try:
            fleet = make_fleet([datatype], DEVICES, 0, UTC)
        except CannotSimulate as error:
            yield Problem(
                place=place,
                found=f"no device can be simulated: {error}",
                expected="devices that send the real wire format, for tests and for make up",
                do="declare wire=, the inverse of parse (greenpower.datatype.Wire); flat JSON has one by itself",
            )
            continue
        for device in fleet.devices:
            for packets in SPLIT_FRAMES:
                if fault := _misread(datatype, device, packets):
                    yield Problem(
                        place=place,
                        found=f"a simulated {device.model.name} device in {packets} packets: {fault}",
                        expected="every value that it sends, under its field's name",
                        do="make wire= and parse= each other's inverse, and the fields' ranges wide enough",
                    )
                    return


def _misread(datatype: DataType, device: SimulatedDevice, packets: int) -> str:
    sample = device.sample(SAMPLE_TIME)
    frames = device.wire.encode(type(sample)(
        device_id=sample.device_id, model=sample.model, stamp=sample.stamp, values=sample.values, packets=packets,
    ))  # fmt: skip
    claim = next(claim.at(device.topic) for claim in datatype.topics if claim.matches(device.topic))
    found = merged(datatype, claim.device, frames, device.topic)
    if [name for name, _ in found] != [device.device_id]:
        return f"it is read as {short(_names(found))}, not as {device.device_id}"
    ((payload),) = found.values()
    sent = {name for name in device.model.fields or sample.values if name in sample.values}
    if lost := sorted(sent - payload.keys()):
        return f"{', '.join(lost)} is lost"
    off = [name for name in sorted(sent) if not isclose(payload[name], sample.values[name], rel_tol=0.01, abs_tol=0.51)]
    return f"{off[0]} was {sample.values[off[0]]:g} and is read as {payload[off[0]]:g}" if off else ""


def _names(found: Merged) -> str:
    return ", ".join(f"{device} at {stamp}" for device, stamp in found) or "nothing"
