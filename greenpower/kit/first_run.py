"""The first run of a parser: its samples, and long frames made from them, in a process of its own.

What belongs here: which frames these are, and what is seen while they are read: a parser that does not end, and files
that it opens. What does not: the process (`limited`). The rules read frames in this process only after this run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any

from greenpower.datatype import DataType, Frame
from greenpower.datatype.json import MAX_KEYS
from greenpower.datatype.session import Birth
from greenpower.kit.limited import Begin, Overrun, run_limited
from greenpower.kit.outcome import frame_of
from greenpower.kit.problem import Problem, short, shown

if TYPE_CHECKING:
    from greenpower.kit.plugin import Plugin, RecordedSample

#: the longest frame that ingest takes, unless MAX_FRAME_BYTES says otherwise
LONG_FRAME_BYTES = 256 * 1024
#: long frames are made from so many samples per data type
GROWN_SAMPLES = 2
MAX_GROWN_LEAVES = 3
#: what Python tells of a process that opens or changes something outside of it
OUTSIDE = ("open", "os.", "shutil.", "socket.", "subprocess.", "sqlite3.connect", "tempfile.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRun:
    """overrun: a frame that the parser does not end with; None if it ends. opened: what reading samples opens."""

    overrun: Problem | None = None
    opened: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """A frame to read. made: how it was made from the sample; empty for the sample itself. topic: of a frame before it;
    empty for that of the sample."""

    plugin: Plugin
    datatype: DataType
    device: str | None
    sample: RecordedSample
    payload: bytes
    made: str = ""
    topic: str = ""


def run_first(plugin: Plugin) -> FirstRun:
    """The first run of a plugin's parsers. Raises SampleError."""
    steps = [step for datatype in plugin.datatypes for step in _steps(plugin, datatype)]
    if not steps:
        return FirstRun()
    result = run_limited(lambda begin: _read(steps, begin))
    if isinstance(result, Overrun):
        step = steps[result.step]
        what = f", {step.made}" if step.made else ""
        return FirstRun(
            overrun=Problem(
                place=f"{shown(plugin.folder)}: {step.datatype.name}",
                found=f"the parser {result.what}; frame {short(step.payload, 80)}, {len(step.payload)} bytes{what}",
                expected="a parser whose time grows with the length of a frame, and that ends with each",
                fix="make every loop move on, also in a frame that is wrong; go through a frame once, without cutting "
                "or searching the rest of it for each part; wait for nothing",
                sample=step.sample.case,
                topic=step.topic or step.sample.topic,
            )
        )
    return FirstRun(opened=tuple(_opened(steps[number], what) for number, what in json.loads(result)))


def _steps(plugin: Plugin, datatype: DataType) -> Iterator[_Step]:
    samples = tuple(plugin.samples_of(datatype))
    for sample in samples:
        device = dict(plugin.claimed(sample.topic)).get(datatype)
        step = partial(_Step, plugin=plugin, datatype=datatype, device=device, sample=sample)
        for topic, payload in sample.before:
            yield step(payload=payload, topic=topic)
            for made, long in grown(payload, LONG_FRAME_BYTES):
                yield step(payload=long, topic=topic, made=made)
        for payload in sample.frames:
            yield step(payload=payload)
    longest = sorted((sample for sample in samples if sample.frames), key=lambda sample: -len(sample.frames[0]))
    for sample in longest[:GROWN_SAMPLES]:
        device = dict(plugin.claimed(sample.topic)).get(datatype)
        for made, payload in grown(sample.frames[0], LONG_FRAME_BYTES):
            yield _Step(
                plugin=plugin, datatype=datatype, device=device, sample=sample, payload=payload, made=made
            )  # fmt: skip


def _read(steps: list[_Step], begin: Begin) -> str:
    """Read each frame; those of samples twice. Gives what the second time opens, as JSON: [[step, event], …]."""
    opened: list[tuple[int, str]] = []
    watched: list[int] = []  # the step that is watched, if one is
    here = get_ident()

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if watched and event.startswith(OUTSIDE) and get_ident() == here:
            opened.append((watched[0], f"{event} {short(arguments[0] if arguments else '', 80)}"))

    sys.addaudithook(hear)  # this process is a copy, and ends soon
    for number, step in enumerate(steps):
        begin(number)
        births: tuple[Birth, ...] = ()
        if not step.topic:
            with suppress(Exception):  # the rules find what it raises
                births = step.plugin.births_before(step.datatype, step.sample)
        frame = frame_of(step.datatype, step.topic or step.sample.topic, step.device, step.payload, births)
        _parse(step.datatype, frame)
        if not step.made:
            watched.append(number)  # the first time may load modules and zones of the standard library
            _parse(step.datatype, frame)
            watched.clear()
    return json.dumps(opened)


def _parse(datatype: DataType, frame: Frame) -> None:
    with suppress(Exception):  # a parser is foreign code; what it raises is found by the rules
        datatype.parse(frame)


def _opened(step: _Step, what: str) -> Problem:
    return Problem(
        place=shown(step.sample.folder),
        found=f"reading the frame does this: {what}",
        expected="a parser that uses the frame and nothing else",
        fix="put tables into the plugin's Python; leave storing, sending and looking up to the core",
        sample=step.sample.case,
        topic=step.sample.topic,
    )


def grown(payload: bytes, size: int) -> Iterator[tuple[str, bytes]]:
    """A frame made `size` bytes long in several ways: (how, payload)."""
    if not payload:
        return
    yield "the sample again and again", (payload * (size // len(payload) + 1))[:size]
    yield "with its last byte again and again", payload + payload[-1:] * (size - len(payload))
    yield "with spaces after it", payload + b" " * (size - len(payload))
    with suppress(ValueError, RecursionError):
        if isinstance(top := json.loads(payload), dict):
            yield from ((made, json.dumps(one, ensure_ascii=False).encode()) for made, one in _grown_json(top, size))


def _grown_json(top: dict[str, Any], size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for keys in (size // 16, MAX_KEYS // 2):  # a parser that uses decode_object rejects the first
        yield "with many keys", {**top, **{f"k{number}": number for number in range(keys)}}
    leaves = [path for path, value in _leaves(top, ()) if isinstance(value, str)]
    for path in leaves[:MAX_GROWN_LEAVES]:
        yield f"with a long text at {'.'.join(path)}", _replaced(top, path, "1" * size)
    lists = [(path, value) for path, value in _leaves(top, ()) if isinstance(value, list) and value]
    for path, value in lists[:MAX_GROWN_LEAVES]:
        length = len(json.dumps(value))
        yield f"with a long list at {'.'.join(path)}", _replaced(top, path, value * (size // length + 1))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The texts and lists in the objects of an object, each with the keys that lead to it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif path:
        yield path, value


def _replaced(top: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    key, *rest = path
    return {**top, key: _replaced(top[key], tuple(rest), value) if rest else value}
