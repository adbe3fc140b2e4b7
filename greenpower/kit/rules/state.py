"""Rule for state: whatever a parser read before, the same frame gives the same readings."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from greenpower.datatype import DataType, Frame, FrameError
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin, RecordedSample
from greenpower.kit.problem import Problem, short, shown

#: how often each frame is read: state that shows at every so many frames is found up to that number
ROUNDS = 12
#: of a sample with many frames, so many are read
MAX_FRAMES_PER_SAMPLE = 4
OTHER_DEVICE = "OTHER-DEVICE"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A frame of a sample, or the same frame of another device."""

    sample: RecordedSample
    frame: Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """text: everything in it. fields: of each reading, the values as text, by key."""

    text: str
    fields: tuple[dict[str, str], ...] = ()


def check_state(plugin: Plugin) -> Iterator[Problem]:
    """Frames of several samples and devices, read in turn and in any order, give what each gives alone."""
    for datatype in plugin.datatypes:
        cases = _cases(plugin, datatype)
        first: list[_Result] = []
        random = Random(datatype.name)
        for number in range(ROUNDS):
            order = list(range(len(cases)))
            if number:
                random.shuffle(order)
            for index in order:
                before = copy.deepcopy(cases[index].frame)
                found = _read(datatype, cases[index].frame)
                if not number:
                    first.append(found)
                if cases[index].frame != before:
                    yield _problem(cases[index], "the parser changes the frame")
                    return
                if found.text != first[index].text:
                    what = f"{short(found.text)}, at first as {short(first[index].text)}"
                    yield _problem(
                        cases[index], f"after other frames it is read as {what}", _differs(found, first[index])
                    )
                    return


def _cases(plugin: Plugin, datatype: DataType) -> list[_Case]:
    cases = []
    for sample in plugin.samples_of(datatype):
        device = next(device for item, device in plugin.claimed(sample.topic) if item is datatype)
        frames = sample.frames[:MAX_FRAMES_PER_SAMPLE]
        births = plugin.births_before(datatype, sample)
        named = [(payload, device) for payload in frames] + [(payload, OTHER_DEVICE) for payload in frames[:1]]
        cases += [
            _Case(sample=sample, frame=frame_of(datatype, sample.topic, name, payload, births))
            for payload, name in named
        ]
        cases += [
            _Case(sample=sample, frame=frame_of(datatype, topic, device, payload)) for topic, payload in sample.before
        ]
    return cases


def _read(datatype: DataType, frame: Frame) -> _Result:
    try:
        readings = datatype.parse(frame)
    except FrameError as error:
        return _Result(text=f"rejected: {error.reason}, {error.detail}")
    except Exception as error:  # a parser is foreign code
        return _Result(text=f"raised {error!r}")
    fields = tuple({key: repr(value) for key, value in reading.values.items()} for reading in readings)
    return _Result(text=repr(readings), fields=fields)


def _differs(one: _Result, other: _Result) -> str:
    """The first key whose value differs; empty if it is not about one."""
    for left, right in zip(one.fields, other.fields, strict=False):
        for key in [*left, *right]:
            if left.get(key) != right.get(key):
                return key
    return ""


def _problem(case: _Case, found: str, field: str = "") -> Problem:
    return Problem(
        place=shown(case.sample.folder),
        found=found,
        expected="the same readings for the same frame, whatever was read before",
        fix="keep nothing between frames: no global, no attribute, no default argument that is changed; the core "
        "merges the parts of a reading",
        field=field,
        sample=case.sample.case,
        topic=case.sample.topic,
    )
