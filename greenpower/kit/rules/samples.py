"""Samples: each is claimed by one type of its plugin and says what is expected; parsing is pure; keys are declared."""

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
    """Every case says what is expected, and every data type has one that is a reading."""
    read: set[str] = set()
    for sample in plugin.samples:
        place = shown(sample.folder)
        if not sample.frames:
            yield Problem(
                place=place, found="no frame", expected="frame.json, frame.hex or frame_01.json …", do="add the frame"
            )
        claimed = plugin.claimed(sample.topic)
        if len(claimed) != 1 or claimed[0][0] not in plugin.datatypes:
            names = ", ".join(datatype.name for datatype, _ in claimed) or "none"
            yield Problem(
                place=f"{place}/expected.json",
                found=f"the topic {sample.topic!r} is claimed by {names}",
                expected=f"exactly one data type of this plugin claims it ({', '.join(_claims(plugin))})",
                do="mend the topic, or match= in the declaration; of a gateway it is tcp/<type>/<registration packet>",
            )
            continue
        ((datatype, device),) = claimed
        yield from _said(sample, datatype, device)
        yield from _pure(sample, datatype, device)
        if any("payload" in item for item in sample.expected):
            read.add(datatype.name)
    for datatype in plugin.datatypes:
        if datatype.name not in read:
            yield Problem(
                place=shown(plugin.folder / "samples"),
                found=f"no case of {datatype.name} that is a reading",
                expected="a frame as a device sent it, for each data type",
                do="add a folder with the frame and expected.json",
            )


def _claims(plugin: Plugin) -> Iterator[str]:
    for datatype in plugin.datatypes:
        yield from (claim.topic for claim in datatype.topics)
        yield from (f"tcp/{datatype.name}/{claim.registration}" for claim in datatype.gateways)


def _said(sample: RecordedSample, datatype: DataType, device: str | None) -> Iterator[Problem]:
    try:
        found = [item for frame in sample.frames for item in outcomes(datatype, sample.topic, device, frame)]
    except Exception as error:  # a parser is foreign code
        yield _raised(sample, error)
        return
    if found != sample.expected:
        one, other = _difference(found, sample.expected)
        yield Problem(
            place=shown(sample.folder / "expected.json"),
            found=f"the frame says {short(one)}",
            expected=short(other),
            do=f"mend the parser, or, if this is right, put it there: {json.dumps(found, ensure_ascii=False)}",
        )


def _raised(sample: RecordedSample, error: Exception) -> Problem:
    return Problem(
        place=shown(sample.folder),
        found=f"the parser raised {type(error).__name__}: {short(str(error))}",
        expected="readings, or FrameError(reason, detail)",
        do="raise FrameError for what is no reading",
    )


def _difference(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> tuple[str, str]:
    """What differs first: a reading's values, or else how many there are."""
    for number, (one, other) in enumerate(zip(found, expected, strict=False)):
        for key in [*one, *(key for key in other if key not in one)]:
            left, right = one.get(key, "nothing"), other.get(key, "nothing")
            if isinstance(left, dict) and isinstance(right, dict):
                names = [name for name in [*left, *right] if left.get(name) != right.get(name)]
                left, right = ({name: side.get(name) for name in names} for side in (left, right))
            if left != right:
                return f"{key} of reading {number}: {left}", f"{key} of reading {number}: {right}"
    return f"{len(found)} readings", f"{len(expected)} readings"


def _pure(sample: RecordedSample, datatype: DataType, device: str | None) -> Iterator[Problem]:
    for payload in sample.frames:
        frame = Frame(topic=sample.topic, payload=payload, device=device)
        before = copy.deepcopy(frame)
        first, second = _parsed(datatype, frame), _parsed(datatype, frame)
        if first != second or frame != before:
            yield Problem(
                place=shown(sample.folder),
                found="parsed again, the frame says something else, or is another",
                expected="the same frame gives the same readings, whatever came before",
                do="keep nothing between frames: the core merges parts of a reading",
            )


def _parsed(datatype: DataType, frame: Frame) -> str:
    try:
        return repr(datatype.parse(frame))
    except FrameError as error:
        return repr(error)
    except Exception as error:
        return f"raised {error!r}"


def check_keys(plugin: Plugin) -> Iterator[Problem]:
    """What a device sends is declared and in range: every key of every case that does not say what is left out."""
    for datatype in plugin.datatypes:
        names = {field.name for field in datatype.fields}
        if not names:  # the site names them
            continue
        for sample in plugin.samples_of(datatype):
            if any("left_out" in item for item in sample.expected):  # a case of what devices should not send
                continue
            device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
            for frame in sample.frames:
                for item in outcomes(datatype, sample.topic, device, frame):
                    odd = {name: "undeclared" for name in item.get("payload", {}) if name not in names}
                    for name, why in {**odd, **item.get("left_out", {})}.items():
                        yield Problem(
                            place=shown(sample.folder),
                            found=f"{name}: {why}",
                            expected="every key is a field, and its value in the field's range",
                            do="add Field(…) to fields=, or mend low= and high=, or name it in the parser's ignore=",
                        )
