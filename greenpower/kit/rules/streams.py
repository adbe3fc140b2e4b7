"""Rules for streams: repeated, reordered or split frames give the same result, and simulated devices are understood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from math import isclose
from typing import Any

from greenpower.datatype import DataType, FrameError, Tcp
from greenpower.datatype.value import ValueParser
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.outcome import Merged, frame_of, merged
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown
from greenpower.simulator.device import CannotSimulate, SimulatedDevice
from greenpower.simulator.fleet import make_fleet
from greenpower.simulator.gateway import Requests, SimulatedGateway
from greenpower.simulator.recorded import at_time, readings_of, time_texts

SAMPLE_TIME = datetime(2026, 11, 23, 13, 30, 7, tzinfo=UTC)
#: enough that each model is among the devices
SIMULATED_DEVICES = 8
PACKETS_PER_READING = (1, 2, 3)


def check_streams(plugin: Plugin) -> Iterator[Problem]:
    """Repeated and reordered samples are stored as once; a gateway's stream may be split anywhere."""
    for datatype in plugin.datatypes:
        for sample in plugin.samples_of(datatype):
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            births = plugin.births_before(datatype, sample)
            once = merged(datatype, device, sample.frames, sample.topic, births)
            for what, frames in (
                ("each frame twice", [frame for frame in sample.frames for _ in range(2)]),
                ("all frames twice", [*sample.frames, *sample.frames]),
                ("last frame first", sample.frames[::-1]),
            ):
                again = merged(datatype, device, frames, sample.topic, births)
                if again != once:
                    yield Problem(
                        place=shown(sample.folder),
                        found=f"{what}: stored as {short(again)}",
                        expected=f"the same as for one transmission: {short(once)}",
                        fix="keep no state between frames; take stamp and device from each frame",
                        sample=sample.case,
                        topic=sample.topic,
                    )
        for claim in datatype.gateways:
            yield from _split_problems(plugin, datatype, claim)


def _split_problems(plugin: Plugin, datatype: DataType, claim: Tcp) -> Iterator[Problem]:
    """Frames that differ when a gateway's bytes come one by one, or when its heartbeats come twice."""
    if not isinstance(datatype.parse, ModbusPoll):
        return
    gateway = make_fleet([datatype], 1, 0, UTC).gateways[0]
    whole = _round(gateway, claim, pieces=False, repeated=False)
    for what, pieces, repeated in (("byte by byte", True, False), ("with repeated heartbeats", False, True)):
        found = _round(gateway, claim, pieces=pieces, repeated=repeated)
        if found != whole or not whole:
            yield Problem(
                place=f"{shown(plugin.folder)}: {datatype.name}",
                found=f"a round {what}: {short(found)}",
                expected=f"the same as in one piece: {short(whole)}",
                fix="correct dialogue=; find the end of a message in its bytes, not in how they arrive",
            )


def _round(gateway: SimulatedGateway, claim: Tcp, *, pieces: bool, repeated: bool) -> list[bytes]:
    """The first frame of a round of heartbeats and answers."""
    dialogue = claim.dialogue(claim)
    requests = Requests()
    now = 0.0

    def send(data: bytes) -> None:
        for piece in [bytes([byte]) for byte in data] if pieces else [data]:
            dialogue.receive(piece, now)

    try:
        for number in range(len(gateway.poll.requests)):
            send((gateway.heartbeat if number else gateway.registration) * (2 if repeated else 1))
            while asked := requests.receive(dialogue.take_output()):
                for request in asked:
                    send(gateway.answer(request, SAMPLE_TIME))
            now += 1
    except FrameError as error:
        return [f"{error.reason}: {error.detail}".encode()]
    return [payload for payload, _ in dialogue.take_frames()][:1]


def check_simulated(plugin: Plugin) -> Iterator[Problem]:
    """The parser reads all that simulated devices send: from the declaration or, without an inverse, from samples."""
    for datatype in plugin.datatypes:
        if not datatype.topics and not datatype.gateways:  # we dial its devices: nothing to simulate comes to us
            continue
        if datatype.gathers:  # one value per topic: there is no frame that holds a reading
            continue
        place = f"{shown(plugin.folder)}: {datatype.name}"
        try:
            if isinstance(datatype.parse, ValueParser):  # no frame of its devices holds all that they measure
                raise CannotSimulate(datatype.name)
            fleet = make_fleet([datatype], SIMULATED_DEVICES, 0, UTC)
        except CannotSimulate:
            yield from _recorded_problems(plugin, datatype)
            continue
        for device in fleet.devices:
            for packets in PACKETS_PER_READING:
                if problem := _lost(datatype, device, packets):
                    yield Problem(
                        place=place,
                        found=f"simulated model {device.model.name}, {packets} packets: {problem}",
                        expected="every value that the device sends, under the name of its field",
                        fix="make wire= the inverse of parse=, and the ranges of the fields wide enough",
                        topic=device.topic,
                    )
                    return


def _lost(datatype: DataType, device: SimulatedDevice, packets: int) -> str:
    """What the parser loses or changes of a simulated reading; empty if nothing."""
    sample = device.sample(SAMPLE_TIME)
    frames = device.wire.encode(type(sample)(
        device_id=sample.device_id, model=sample.model, stamp=sample.stamp, values=sample.values, packets=packets,
    ))  # fmt: skip
    claim = next(claim.at(device.topic) for claim in datatype.topics if claim.matches(device.topic))
    found = merged(datatype, claim.device, frames, device.topic)
    if [name for name, _ in found] != [device.device_id]:
        return f"read as {short(_names(found))} instead of {device.device_id}"
    ((payload),) = found.values()
    sent = {name for name in device.model.fields or sample.values if name in sample.values}
    if lost := sorted(sent - payload.keys()):
        return f"lost: {', '.join(lost)}"
    off = [name for name in sorted(sent) if not isclose(payload[name], sample.values[name], rel_tol=0.01, abs_tol=0.51)]
    return f"{off[0]} sent as {sample.values[off[0]]:g}, read as {payload[off[0]]:g}" if off else ""


def _recorded_problems(plugin: Plugin, datatype: DataType) -> Iterator[Problem]:
    """Samples that give other values when the device sends them at another time."""
    for sample in plugin.samples_of(datatype):
        device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
        for payload in sample.frames:
            frame = frame_of(datatype, sample.topic, device, payload, plugin.births_before(datatype, sample))
            texts = time_texts(datatype, frame)
            if not texts:  # arrival is its time, or a checksum covers it
                continue
            later = replace(frame, payload=at_time(payload, texts, SAMPLE_TIME, UTC))
            before, after = ([item.values for item in readings_of(datatype, one)] for one in (frame, later))
            if repr(before) != repr(after):
                field, one, other = _changed(before, after)
                yield Problem(
                    place=shown(sample.folder),
                    found=f"sent at {SAMPLE_TIME}, {field or 'it'} is {short(other)}",
                    expected=f"the same values at another time: {short(one)}",
                    fix="read values from the frame alone, whatever the time in it",
                    field=field,
                    sample=sample.case,
                    topic=sample.topic,
                )
                return


def _changed(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[str, Any, Any]:
    """The first key whose value differs, with both values; without a key where the number of readings does."""
    for one, other in zip(before, after, strict=False):
        for key in {**one, **other}:
            if repr(one.get(key)) != repr(other.get(key)):
                return key, one.get(key), other.get(key)
    return "", before, after


def _names(found: Merged) -> str:
    return ", ".join(f"{device} at {stamp}" for device, stamp in found) or "no reading"
