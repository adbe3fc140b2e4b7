"""Plugins as their authors see them: a folder with a declaration, a README and samples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Dialled, Noted
from greenpower.datatype.claim import PUSHED
from greenpower.datatype.session import Birth, make_birth, with_birth
from greenpower.kit.first_run import FirstRun, run_first
from greenpower.kit.outcome import frame_of
from greenpower.kit.problem import PluginError, Problem, shown

DIALLED_TOPICS = ("modbus", "telegrams")
#: when a birth before a sample arrived: before its frames, whatever their stamps are
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class RecordedSample:
    """A case in `samples/`: frames in the order sent, and the expected result.

    odd: why values in it are left out, if it is a case of such values. before: frames that the device sent before, each
    with its topic, where the meaning of the others depends on them.
    """

    case: str
    folder: Path
    topic: str
    frames: tuple[bytes, ...]
    expected: list[dict[str, Any]]
    odd: str = ""
    before: tuple[tuple[str, bytes], ...] = ()

    def __str__(self) -> str:
        return self.case


class SampleError(PluginError):
    """A sample cannot be read. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """origin: name of its module. folder: the folder of the module. registry: the data types of all plugins."""

    origin: str
    folder: Path
    datatypes: tuple[DataType, ...]
    registry: Registry

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name of its first data type."""
        return self.datatypes[0].name

    @cached_property
    def samples(self) -> tuple[RecordedSample, ...]:
        """All samples. Raises SampleError."""
        folder = self.folder / "samples"
        if not folder.is_dir():
            return ()
        return tuple(read_sample(case) for case in sorted(folder.iterdir()) if case.is_dir())

    @cached_property
    def first_run(self) -> FirstRun:
        """What reading its samples shows, in a process of its own. Raises SampleError."""
        return run_first(self)

    def samples_of(self, datatype: DataType) -> Iterator[RecordedSample]:
        """The samples whose topic this data type claims. Raises SampleError."""
        return (sample for sample in self.samples if datatype in [item for item, _ in self.claimed(sample.topic)])

    def births_before(self, datatype: DataType, sample: RecordedSample) -> tuple[Birth, ...]:
        """What a sample's device said before it, as the core would know it. Raises what the parser raises."""
        births: tuple[Birth, ...] = ()
        if not sample.before:
            return births
        device = dict(self.claimed(sample.topic)).get(datatype)
        for topic, payload in sample.before:
            if dict(self.claimed(topic)).get(datatype) != device:
                continue  # it is of another device
            for note in datatype.parse(frame_of(datatype, topic, device, payload, births)):
                if isinstance(note, Noted) and note.session is not None:
                    births = with_birth(births, make_birth(note.session, None, LONG_AGO))
        return births

    def claimed(self, topic: str) -> list[tuple[DataType, str | None]]:
        """The data types that claim a topic, each with the device id that its claim gives: of topics one at most.

        The topic of a gateway is `tcp/<type>/<registration packet>`, that of a device that is dialled
        `modbus/<type>/<device>` or `telegrams/<type>/<device>`, that
        of frames pushed over HTTP `http/<claim>`.
        """
        source, _, rest = topic.partition("/")
        name, _, gateway = rest.partition("/")
        if source in DIALLED_TOPICS and gateway:
            return [
                (datatype, gateway)
                for datatype in self.registry
                if datatype.name == name and any(is_dialled(claim, source) for claim in datatype.match)
            ]
        if source == "tcp" and gateway:
            return [
                (datatype, gateway)
                for datatype, claim in self.registry.gateways
                if datatype.name == name and claim.packet.packet_of(gateway) is not None
            ]
        if source == PUSHED.rstrip("/") and (pushed := self.registry.pushes.get(rest)):
            return [(pushed[0], pushed[1].device)]
        match = self.registry.match_topic(topic)
        return [] if match is None else [(match.datatype, match.claim.device)]


def is_dialled(claim: object, protocol: str) -> bool:
    """Whether a claim is one on devices that are dialled, with this protocol."""
    return isinstance(claim, Dialled) and claim.protocol == protocol


def plugins_of(registry: Registry) -> tuple[Plugin, ...]:
    """The plugins of a registry's data types."""
    return tuple(
        Plugin(
            origin=origin,
            folder=Path(import_module(origin).__file__ or "").parent,
            datatypes=tuple(item.datatype for item in items),
            registry=registry,
        )
        for origin, items in groupby(registry.loaded, key=lambda item: item.origin)
    )


def find_plugin(registry: Registry, name: str) -> Plugin:
    """The plugin with a data type or a module of this name. Raises PluginError."""
    plugins = plugins_of(registry)
    for plugin in plugins:
        if name in (plugin.origin, *(datatype.name for datatype in plugin.datatypes)):
            return plugin
    for stopped in registry.stopped:
        if name in (stopped.loaded.origin, stopped.loaded.datatype.name):
            raise PluginError(f"{name} is stopped: {stopped.why}")
    known = ", ".join(plugin.name for plugin in plugins)
    raise PluginError(
        f"unknown plugin {name!r}; choose from {known}. A plugin is a folder in plugins/ or an installed package with "
        "an entry point in the group greenpower.plugins (pip install -e PACKAGE)"
    )


def read_frame(path: Path) -> bytes:
    """A frame from a file: decoded from hexadecimal if the name ends in `.hex`, else the bytes without a final newline.

    Raises PluginError.
    """
    content = path.read_bytes()
    if path.suffix != ".hex":
        return content.removesuffix(b"\n")
    try:
        return bytes.fromhex(content.decode())
    except ValueError as error:
        raise PluginError(f"{shown(path)} is not hexadecimal: {error}") from None


def read_sample(folder: Path) -> RecordedSample:
    """A sample: the files `frame*` in order of their names, and `expected.json`. Raises SampleError."""
    path = folder / "expected.json"
    shape = '{"topic": "…", "readings": [{"device_id": …, "stamp": …, "complete": …, "payload": {…}}]}'
    try:
        expected = json.loads(path.read_bytes())
        topic, readings, odd = expected["topic"], expected["readings"], expected.get("odd", "")
        frames = tuple(read_frame(item) for item in sorted(folder.glob("frame*")))
        before = tuple((given, read_frame(folder / name)) for name, given in expected.get("before", {}).items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, PluginError) as error:
        raise SampleError(
            Problem(
                place=shown(path),
                found=f"{type(error).__name__}: {error}",
                expected=f"{shape}, and next to it frame.json, frame.hex or frame_01.json, frame_02.json …",
                fix="write it with greenpower plugins try NAME FRAME --keep CASE",
            )
        ) from None
    return RecordedSample(
        case=folder.name, folder=folder, topic=topic, frames=frames, expected=readings, odd=odd, before=before
    )  # fmt: skip
