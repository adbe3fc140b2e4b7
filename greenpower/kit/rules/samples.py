"""Rules for samples: one data type claims each, the result is as expected, parsing is pure, and keys are declared."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from greenpower.datatype import DataType, Frame, FrameError
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
                place=place, found="no frame file", expected="frame.json, frame.hex or frame_01.json …", fix="add one"
            )
        claimed = plugin.claimed(sample.topic)
        if len(claimed) != 1 or claimed[0][0] not in plugin.datatypes:
            names = ", ".join(datatype.name for datatype, _ in claimed) or "none"
            yield Problem(
                place=f"{place}/expected.json",
                found=f"the topic {sample.topic!r} is claimed by {names}",
                expected=f"one data type of this plugin claims it ({', '.join(_claims(plugin))})",
                fix="correct the topic, or match= in the declaration; a gateway has tcp/<type>/<registration packet>",
            )
            continue
        ((datatype, device),) = claimed
        yield from _result_problems(sample, datatype, device)
        yield from _purity_problems(sample, datatype, device)
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


def _result_problems(sample: RecordedSample, datatype: DataType, device: str | None) -> Iterator[Problem]:
    try:
        found = [item for frame in sample.frames for item in outcomes(datatype, sample.topic, device, frame)]
    except Exception as error:  # a parser is foreign code
        yield _raised(sample, error)
        return
    if found != sample.expected:
        one, other = _difference(found, sample.expected)
        yield Problem(
            place=shown(sample.folder / "expected.json"),
            found=f"the frame gives {short(one)}",
            expected=short(other),
            fix=f"correct the parser, or if the result is right, use it: {json.dumps(found, ensure_ascii=False)}",
        )


def _raised(sample: RecordedSample, error: Exception) -> Problem:
    return Problem(
        place=shown(sample.folder),
        found=f"the parser raises {type(error).__name__}: {short(str(error))}",
        expected="readings, or FrameError(reason, detail)",
        fix="raise FrameError for a frame that is no reading",
    )


def _difference(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> tuple[str, str]:
    """The first difference: in a reading, or in the number of readings."""
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        for key in [*one, *(key for key in other if key not in one)]:
            left, right = one.get(key, "nothing"), other.get(key, "nothing")
            if isinstance(left, dict) and isinstance(right, dict):
                names = [name for name in [*left, *right] if left.get(name) != right.get(name)]
                left, right = ({name: side.get(name) for name in names} for side in (left, right))
            if left != right:
                return f"{key} of reading {number}: {left}", f"{key} of reading {number}: {right}"
    return f"{len(found)} readings", f"{len(expected)} readings"


def _purity_problems(sample: RecordedSample, datatype: DataType, device: str | None) -> Iterator[Problem]:
    for payload in sample.frames:
        frame = Frame(topic=sample.topic, payload=payload, device=device)
        before = copy.deepcopy(frame)
        first, second = _parse(datatype, frame), _parse(datatype, frame)
        if first != second or frame != before:
            yield Problem(
                place=shown(sample.folder),
                found="parsing the same frame again gives another result, or parsing changes the frame",
                expected="the same frame always gives the same readings",
                fix="keep no state between frames; the core merges the parts of a reading",
            )


def _parse(datatype: DataType, frame: Frame) -> str:
    try:
        return repr(datatype.parse(frame))
    except FrameError as error:
        return repr(error)
    except Exception as error:
        return f"raised {error!r}"


def check_keys(plugin: Plugin) -> Iterator[Problem]:
    """Every key in a sample is declared and in range, except in samples that expect `left_out`."""
    for datatype in plugin.datatypes:
        names = {field.name for field in datatype.fields}
        if not names:  # the site file names them
            continue
        for sample in plugin.samples_of(datatype):
            if any("left_out" in item for item in sample.expected):  # a sample of bad values
                continue
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            for frame in sample.frames:
                for item in outcomes(datatype, sample.topic, device, frame):
                    undeclared = {name: "undeclared" for name in item.get("payload", {}) if name not in names}
                    for name, why in {**undeclared, **item.get("left_out", {})}.items():
                        yield Problem(
                            place=shown(sample.folder),
                            found=f"{name}: {why}",
                            expected="every key is a field, and every value is in the field's range",
                            fix="add a Field(…), correct low= and high=, or add the key to ignore= of the parser",
                        )
