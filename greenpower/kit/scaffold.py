"""New plugins: the files of a working plugin, for its author to change.

What belongs here: the files, from the templates and from the declaration in them. What does not: the rules
(`contract`).
"""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from greenpower.catalog.conflict import Loaded
from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Frame, Sample
from greenpower.datatype.check import Checker
from greenpower.datatype.table import with_tables
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.outcome import outcomes
from greenpower.kit.problem import PluginError
from greenpower.kit.trial import default_topic
from greenpower.simulator.device import wire_of

Files = dict[Path, str]
SAMPLE_CASE = "as_sent"
SAMPLE_VALUES = {"power": 12.5, "energy": 8123, "temp": 31.5, "state": 2}
SAMPLE_STAMP = datetime(2026, 11, 23, 14, 15, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaffoldPlan:
    """The plugin to create.

    topic: the MQTT topic that it claims; registration: the packet of its gateways; one of the two is given. package:
    the folder for an installable package; None for a folder in `plugins/`.
    """

    name: str
    topic: str = ""
    registration: str = ""
    package: Path | None = None

    @property
    def module(self) -> str:
        """The name of its Python package. An installable package has a prefix, so that its name is unique."""
        return self.name if self.package is None else f"greenpower_{self.name}"

    @property
    def substitutions(self) -> dict[str, str]:
        """The text for each `$name` in the templates."""
        levels = self.topic.split("/")
        at = levels.index("+") if "+" in levels else None
        if at is None:
            claim, keys, device_source = json.dumps(self.topic), 'device="id", time="time"', "`id` is the device id."
        else:
            claim, keys = f"{json.dumps(self.topic)}, device_level={at}", 'time="time"'
            device_source = f"Level {at} of the topic, counted from 0, is the device id."
        return {
            "name": self.name,
            "title": self.name.replace("_", " ").capitalize(),
            "endpoint": f"{self.name.replace('_', '-')}-data",
            "collection": f"{self.name}_data",
            "topic": self.topic,
            "registration": self.registration,
            "claim": f"Mqtt({claim})",
            "parser": f"json_parser({keys})",
            "device_source": device_source,
            "module": self.module,
            "distribution": f"greenpower-{self.name.replace('_', '-')}",
        }


def make_files(plan: ScaffoldPlan, known: Registry) -> Files:
    """The files by path: the folder of the plugin, and its test under `tests/`.

    Raises PluginError, DeclarationError, and RegistryError if another plugin claims the same name or topic.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", plan.name) or keyword.iskeyword(plan.name):
        raise PluginError(
            f"name {plan.name!r} is not valid: use a-z, 0-9 and _, start with a letter, and use no Python keyword"
        )
    substitutions = plan.substitutions
    kind = "tcp" if plan.registration else "mqtt"
    source = _fill(f"{kind}.py.txt", substitutions)
    datatype = _declared(source)
    Registry((*known.loaded, Loaded(datatype=datatype, origin="the new plugin")))
    topic = default_topic(datatype)
    payload = _frame(datatype)
    text = payload.hex(" ") if kind == "tcp" else payload.decode()
    readme = _fill(f"README.{kind}.md.txt", {**substitutions, "frame": text})
    device = topic.rpartition("/")[2] if kind == "tcp" else datatype.topics[0].at(topic).device
    expected = {"topic": topic, "readings": outcomes(datatype, topic, device, payload)}
    folder = Path(plan.module)
    case = folder / "samples" / SAMPLE_CASE
    test = Path("tests") / f"test_{plan.name}.py"
    files = {
        folder / "__init__.py": source,
        folder / "README.md": with_tables(readme, [datatype]),
        case / ("frame.hex" if kind == "tcp" else "frame.json"): f"{text}\n",
        case / "expected.json": json.dumps(expected, indent=2, ensure_ascii=False) + "\n",
        test: _fill("test.py.txt", substitutions),
    }
    if plan.package is not None:
        files[Path("pyproject.toml")] = _fill("pyproject.toml.txt", substitutions)
    return files


def write_files(files: Mapping[Path, str]) -> None:
    """Write new files. Raises PluginError, and writes nothing, if one of them exists."""
    if existing := [path for path in files if path.exists()]:
        raise PluginError(f"{existing[0]} already exists: choose another name or delete it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _fill(template: str, substitutions: Mapping[str, str]) -> str:
    text = resources.files("greenpower.kit").joinpath("template", template).read_text("utf-8")
    return Template(text).substitute(substitutions)


def _declared(source: str) -> DataType:
    """The data type that a filled template declares. It runs before anything is written."""
    names: dict[str, Any] = {}
    exec(compile(source, "the new plugin", "exec"), names)
    datatype = names["DATATYPE"]
    assert isinstance(datatype, DataType)
    return datatype


def _frame(datatype: DataType) -> bytes:
    """A frame with SAMPLE_VALUES, as a device sends it."""
    values = {field.name: SAMPLE_VALUES[field.name] for field in datatype.fields}
    if isinstance(poll := datatype.parse, ModbusPoll):
        return b"".join(poll.answer(request.encoded, values) for request in poll.requests)
    wire = wire_of(datatype)
    [payload] = wire.encode(Sample(device_id="DEVICE-1", model=wire.models[0], stamp=SAMPLE_STAMP, values=values))
    readings = datatype.parse(Frame(topic="", payload=payload, device="DEVICE"))
    assert Checker(datatype).check(readings[0].values)[1] == {}
    return payload
