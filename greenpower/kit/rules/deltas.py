"""Rule for deltas: a message that comes again must not be counted again, so each has a stamp or an id of its own."""

from __future__ import annotations

from collections.abc import Iterator

from greenpower.datatype import DataType, Frame, FrameError, Kind
from greenpower.datatype.check import Checker
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown


def check_deltas(plugin: Plugin) -> Iterator[Problem]:
    """Every reading of a sample that has a delta has a stamp of the device or a message id."""
    for datatype in plugin.datatypes:
        deltas = {field.name for field in datatype.fields if field.kind is Kind.DELTA}
        if not deltas:
            continue
        for sample in plugin.samples_of(datatype):
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            births = plugin.births_before(datatype, sample)
            frames = [frame_of(datatype, sample.topic, device, payload, births) for payload in sample.frames]
            if found := _nameless(datatype, frames, deltas):
                yield Problem(
                    place=shown(sample.folder),
                    found=f"{found} is a delta, and its message has neither a stamp nor an id",
                    expected="a stamp of the device, or what tells a message from all others of the device",
                    fix="give time= or message_id= to json_parser, or set Reading.stamp or Reading.message_id: brokers "
                    "deliver messages again, and each would be counted again",
                    field=found,
                    sample=sample.case,
                    topic=sample.topic,
                )
                break


def _nameless(datatype: DataType, frames: list[Frame], deltas: set[str]) -> str:
    """The deltas of the first reading that cannot be told from another; empty if there is none."""
    checker = Checker(datatype)
    for frame in frames:
        try:
            readings = datatype.parse(frame)
            for reading in readings:
                if reading.values and reading.stamp is None and reading.message_id is None:
                    payload_of, _ = checker.check(reading.values)
                    if found := sorted(deltas & payload_of.keys()):
                        return ", ".join(found)
        except FrameError:
            continue
    return ""
