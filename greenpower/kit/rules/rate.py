"""Rule for the parse rate: how fast a plugin's samples are parsed and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from time import process_time

from greenpower.datatype import DataType, Frame, FrameError
from greenpower.datatype.check import Checker
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

#: a slower parser uses a whole core for fewer devices than a site may have
MIN_FRAMES_PER_SECOND = 1_000
MEASURED_SECONDS = 0.05
# The best of some measurements: other processes share the caches of the core.
MEASUREMENTS = 3


def check_rate(plugin: Plugin) -> Iterator[Problem]:
    """One core parses frames faster than a site sends them."""
    for datatype in plugin.datatypes:
        rate = parse_rate(plugin, datatype)
        if rate is not None and rate < MIN_FRAMES_PER_SECOND:
            yield Problem(
                place=f"{shown(plugin.folder)}: {datatype.name}",
                found=f"{rate:,.0f} frames per second of processor time",
                expected=f"at least {MIN_FRAMES_PER_SECOND:,}",
                fix="build tables and compile patterns once at import, not for each frame",
            )


def parse_rate(plugin: Plugin, datatype: DataType) -> float | None:
    """Frames parsed per second of processor time, from the samples that are readings; None if there are none."""
    frames = [
        frame_of(datatype, sample.topic, "DEVICE", payload, plugin.births_before(datatype, sample))
        for sample in plugin.samples_of(datatype)
        if all("payload" in item for item in sample.expected)
        for payload in sample.frames
    ]
    if not frames:
        return None
    checker = Checker(datatype)
    return max(_measure(datatype, checker, frames) for _ in range(MEASUREMENTS))


def _measure(datatype: DataType, checker: Checker, frames: Sequence[Frame]) -> float:
    done, began = 0, process_time()
    while (spent := process_time() - began) < MEASURED_SECONDS or not done:
        for frame in frames:
            with suppress(FrameError):
                for reading in datatype.parse(frame):
                    checker.check(reading.values)
        done += len(frames)
    return done / max(spent, 1e-9)
