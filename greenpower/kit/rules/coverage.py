"""Rules for what samples hold together: every field appears in one, registers stay in range, readings agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from greenpower.datatype import DataType
from greenpower.kit.outcome import outcomes
from greenpower.kit.plugin import Plugin, RecordedSample
from greenpower.kit.problem import Problem, shown

#: of fields that are missing, so many are named
MAX_NAMES = 12


def check_coverage(plugin: Plugin) -> Iterator[Problem]:
    """Every declared field is read in a sample, and no register is at its end or beyond."""
    for datatype in plugin.datatypes:
        found: set[str] = set()
        ends = {field.name: field.modulus for field in datatype.fields if field.modulus is not None}
        for sample, _, item in _results(plugin, datatype):
            payload = item.get("payload", {})
            found |= payload.keys()
            for name, end in ends.items():
                if payload.get(name, 0) >= end:
                    yield Problem(
                        place=shown(sample.folder),
                        found=f"{name} is {payload[name]:g}, and modulus={end:g}",
                        expected=f"a register below {end:g}, since it starts again at 0 there",
                        fix="correct modulus= (10**6 for six digits), sent_in= or scale= of the field",
                        field=name,
                        sample=sample.case,
                        topic=sample.topic,
                    )
        if found and (missing := [field.name for field in datatype.fields if field.name not in found]):
            names = ", ".join(missing[:MAX_NAMES])
            names += f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
            yield Problem(
                place=f"{shown(plugin.folder / 'samples')}: {datatype.name}",
                found=f"no sample has {names}",
                expected="each field in a sample, so that its key, unit and range have been tried",
                fix="save a frame that has it: greenpower plugins try NAME FRAME --keep CASE; or remove the field",
                field=names,
                topic=datatype.topics[0].topic if datatype.topics else "",
            )


def check_contradictions(plugin: Plugin) -> Iterator[Problem]:
    """No two readings of one device at one time in a sample have different values for one field."""
    for datatype in plugin.datatypes:
        known: dict[tuple[Any, ...], Any] = {}
        for sample, number, item in _results(plugin, datatype):
            if sample.odd or "payload" not in item:
                continue
            # Without a stamp the time of arrival counts, which all readings of one frame share.
            time = item["stamp"] or f"the arrival of frame {number}"
            for name, value in item["payload"].items():
                key = (sample.case, item["device_id"], time, name)
                before = known.setdefault(key, value)
                if before != value:
                    yield Problem(
                        place=shown(sample.folder),
                        found=f"two readings of {item['device_id']} at {time} have {name} = {before} and {value}",
                        expected="one value for a field of a device at a time; only the first of two is stored",
                        fix="give each part of the device an id of its own, or a field of its own, or a stamp of its "
                        'own; if the device contradicts itself, say so in expected.json: "odd": "…"',
                        field=name,
                        sample=sample.case,
                        topic=sample.topic,
                    )
                    return


def _results(plugin: Plugin, datatype: DataType) -> Iterator[tuple[RecordedSample, int, dict[str, Any]]]:
    """What is read in the samples: (sample, number of the frame, reading)."""
    for sample in plugin.samples_of(datatype):
        device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
        births = plugin.births_before(datatype, sample)
        for number, frame in enumerate(sample.frames, 1):
            for item in outcomes(datatype, sample.topic, device, frame, births):
                yield sample, number, item
