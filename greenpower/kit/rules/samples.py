"""Rules for samples: one data type claims each, the result is as expected, and keys are declared."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from greenpower.datatype import DataType, Dialled
from greenpower.kit.outcome import outcomes
from greenpower.kit.plugin import Plugin, RecordedSample
from greenpower.kit.problem import Problem, short, shown


def check_samples(plugin: Plugin) -> Iterator[Problem]:
    """Every sample gives the expected result, and every data type has a sample that is a reading."""
    read: set[str] = set()
    for sample in plugin.samples:
        place = shown(sample.folder)
        if not sample.frames:
            yield Problem(
                place=place, found="no frame file", expected="frame.json, frame.hex or frame_01.json …", fix="add one",
                sample=sample.case, topic=sample.topic,
            )  # fmt: skip
        claimed = plugin.claimed(sample.topic)
        if len(claimed) != 1 or claimed[0][0] not in plugin.datatypes:
            names = ", ".join(datatype.name for datatype, _ in claimed) or "none"
            yield Problem(
                place=f"{place}/expected.json",
                found=f"the topic {sample.topic!r} is claimed by {names}",
                expected=f"one data type of this plugin claims it ({', '.join(_claims(plugin))})",
                fix="correct the topic, or match= in the declaration; a gateway has tcp/<type>/<registration packet>",
                sample=sample.case,
                topic=sample.topic,
            )
            continue
        ((datatype, device),) = claimed
        yield from _result_problems(plugin, sample, datatype, device)
        if any("payload" in item for item in sample.expected):
            read.add(datatype.name)
    for datatype in plugin.datatypes:
        if datatype.name not in read:
            yield Problem(
                place=shown(plugin.folder / "samples"),
                found=f"{datatype.name} has no sample that is a reading",
                expected="a frame from a device, for each data type",
                fix="save one: greenpower plugins try NAME FRAME --keep CASE",
            )


def _claims(plugin: Plugin) -> Iterator[str]:
    for datatype in plugin.datatypes:
        yield from (claim.topic for claim in datatype.topics)
        yield from (f"tcp/{datatype.name}/{claim.registration}" for claim in datatype.gateways)
        yield from (f"{claim.protocol}/{datatype.name}/…" for claim in datatype.match if isinstance(claim, Dialled))
        yield from (claim.topic for claim in datatype.pushes)


def _result_problems(
    plugin: Plugin, sample: RecordedSample, datatype: DataType, device: str | None
) -> Iterator[Problem]:
    try:
        births = plugin.births_before(datatype, sample)
        found = [item for frame in sample.frames for item in outcomes(datatype, sample.topic, device, frame, births)]
    except Exception as error:  # a parser is foreign code
        yield _raised(sample, error)
        return
    if found != sample.expected:
        one, other, field = _difference(found, sample.expected)
        yield Problem(
            place=shown(sample.folder / "expected.json"),
            found=f"the frame gives {short(one)}",
            expected=short(other),
            fix=f"correct the parser, or if the result is right, use it: {json.dumps(found, ensure_ascii=False)}",
            field=field,
            sample=sample.case,
            topic=sample.topic,
        )


def _raised(sample: RecordedSample, error: Exception) -> Problem:
    return Problem(
        place=shown(sample.folder),
        found=f"the parser raises {type(error).__name__}: {short(str(error))}",
        expected="readings, or FrameError(reason, detail)",
        fix="raise FrameError for a frame that is no reading",
        sample=sample.case,
        topic=sample.topic,
    )


def _difference(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> tuple[str, str, str]:
    """The first difference, in a reading or in the number of readings: (found, expected, the fields that differ)."""
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        for key in [*one, *(key for key in other if key not in one)]:
            left, right = one.get(key, "nothing"), other.get(key, "nothing")
            names: list[str] = []
            if isinstance(left, dict) and isinstance(right, dict):
                names = [name for name in dict.fromkeys([*left, *right]) if left.get(name) != right.get(name)]
                left, right = ({name: side.get(name) for name in names} for side in (left, right))
            if left != right:
                return f"{key} of reading {number}: {left}", f"{key} of reading {number}: {right}", ", ".join(names)
    return f"{len(found)} readings", f"{len(expected)} readings", ""


def check_keys(plugin: Plugin) -> Iterator[Problem]:
    """Every key in a sample is declared and in range, except in samples that say why they are odd."""
    for datatype in plugin.datatypes:
        names = {field.name for field in datatype.fields}
        for sample in plugin.samples_of(datatype):
            if sample.odd:
                continue
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            found: dict[str, str] = {}
            births = plugin.births_before(datatype, sample)
            for frame in sample.frames:
                for item in outcomes(datatype, sample.topic, device, frame, births):
                    if names:  # else the site file names them
                        found |= {name: "undeclared" for name in item.get("payload", {}) if name not in names}
                    found |= item.get("left_out", {})
            for name, why in found.items():
                yield Problem(
                    place=shown(sample.folder),
                    found=f"{name}: {why}",
                    expected="every key is a field, and every value is in the field's range",
                    fix="add a Field(…), correct low= and high=, or add the key to ignore= of the parser; if the "
                    'device does send such values, say why beside "topic" in expected.json: "odd": "…"',
                    field=name,
                    sample=sample.case,
                    topic=sample.topic,
                )
