"""The plugins' folders and the samples in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from greenpower.datatype import DataType, Frame, FrameError, Reading
from greenpower.datatype.check import Checker
from greenpower.registry import Registry, discover

PLUGINS = Path(import_module("plugins").__path__[0])


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A case in `plugins/<plugin>/samples/`: frames in the order sent, and what they are expected to say."""

    plugin: str
    case: str
    topic: str
    frames: tuple[bytes, ...]
    expected: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.plugin}-{self.case}"


def registry() -> Registry:
    """The shipped plugins as they are declared."""
    return discover()


def folders() -> list[Path]:
    """A folder a plugin."""
    return sorted(path for path in PLUGINS.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))


def samples() -> list[Sample]:
    """All cases of all plugins."""
    return [_sample(case) for folder in folders() for case in sorted((folder / "samples").iterdir()) if case.is_dir()]


def _sample(case: Path) -> Sample:
    frames = []
    for path in sorted(case.glob("frame*")):
        content = path.read_bytes()
        frames.append(bytes.fromhex(content.decode()) if path.suffix == ".hex" else content.removesuffix(b"\n"))
    expected = json.loads((case / "expected.json").read_bytes())
    return Sample(
        plugin=case.parent.parent.name,
        case=case.name,
        topic=expected["topic"],
        frames=tuple(frames),
        expected=expected["readings"],
    )


def claimed_by(datatypes: Registry, topic: str) -> list[tuple[DataType, str | None]]:
    """The data types that claim a topic, each with the device that its claim gives."""
    if topic.startswith("tcp/"):
        _, name, gateway = topic.split("/")
        found = [datatype for datatype in datatypes if datatype.name == name]
        packet = gateway.encode()
        return [(datatype, gateway) for datatype in found for claim in datatype.gateways if claim.pattern.match(packet)]
    return [
        (datatype, claim.at(topic).device)
        for datatype in datatypes
        for claim in datatype.topics
        if claim.matches(topic)
    ]


def outcome(datatype: DataType, topic: str, device: str | None, payload: bytes) -> list[dict[str, Any]]:
    """What a frame says, in the form of `expected.json`."""
    try:
        readings = datatype.parse(Frame(topic=topic, payload=payload, device=device))
    except FrameError as error:
        return [{"rejected": error.reason}]
    return [_outcome(reading, Checker(datatype)) for reading in readings]


def _outcome(reading: Reading, checker: Checker) -> dict[str, Any]:
    payload: dict[str, float] = {}
    left_out: dict[str, str] = {}
    if reading.values or reading.device_id is None:  # a part of a sample may name the device and nothing else
        try:
            payload, left_out = checker.check(reading.values)
        except FrameError as error:
            return {"rejected": error.reason}
    stamp = reading.stamp.isoformat() if isinstance(reading.stamp, datetime) else None
    found = {"device_id": reading.device_id, "stamp": stamp, "complete": reading.complete, "payload": payload}
    return {**found, "left_out": left_out} if left_out else found
