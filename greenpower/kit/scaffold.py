"""New plugins: the files of one that works, to be changed into the one that is wanted.

What belongs here: which files, made from the templates and from what they declare. What does not: the rules
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

from greenpower.catalog.registry import Loaded, Registry
from greenpower.datatype import DataType, Frame, Sample
from greenpower.datatype.check import Checker
from greenpower.datatype.table import with_tables
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.attempt import default_topic
from greenpower.kit.outcome import outcomes
from greenpower.kit.problem import PluginError
from greenpower.simulator.device import wire_of

Files = dict[Path, str]
CASE = "as_sent"
VALUES = {"power": 12.5, "energy": 8123, "temp": 31.5, "state": 2}
STAMP = datetime(2026, 11, 23, 14, 15, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaffoldPlan:
    """What is wanted. topic or registration: what it claims. package: the folder of a package of its own, or None."""

    name: str
    topic: str = ""
    registration: str = ""
    package: Path | None = None

    @property
    def module(self) -> str:
        """The name of the package that holds it: `plugins` has names of its own, elsewhere they are everybody's."""
        return self.name if self.package is None else f"greenpower_{self.name}"

    @property
    def words(self) -> dict[str, str]:
        """What stands in the templates for `$word`."""
        levels = self.topic.split("/")
        at = levels.index("+") if "+" in levels else None
        if at is None:
            claim, keys, named = json.dumps(self.topic), 'device="id", time="time"', "`id` is the device."
        else:
            claim, keys = f"{json.dumps(self.topic)}, device_level={at}", 'time="time"'
            named = f"Level {at} of the topic, counted from 0, is the device."
        return {
            "name": self.name,
            "title": self.name.replace("_", " ").capitalize(),
            "endpoint": f"{self.name.replace('_', '-')}-data",
            "collection": f"{self.name}_data",
            "topic": self.topic,
            "registration": self.registration,
            "claim": f"Mqtt({claim})",
            "parser": f"json_parser({keys})",
            "named": named,
            "module": self.module,
            "distribution": f"greenpower-{self.name.replace('_', '-')}",
        }


def make_files(plan: ScaffoldPlan, known: Registry) -> Files:
    """The files, by their paths below the folder that holds the plugin's own; a test is under `tests/`.

    Raises PluginError, DeclarationError, and RegistryError where it would claim what is claimed.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", plan.name) or keyword.iskeyword(plan.name):
        raise PluginError(f"{plan.name!r}: a name is of a-z, 0-9 and _, starts with a letter, and is no word of Python")
    words = plan.words
    kind = "tcp" if plan.registration else "mqtt"
    source = _fill(f"{kind}.py.txt", words)
    datatype = _declared(source)
    Registry((*known.loaded, Loaded(datatype=datatype, origin="the new one")))
    topic = default_topic(datatype)
    payload = _frame(datatype)
    text = payload.hex(" ") if kind == "tcp" else payload.decode()
    readme = _fill(f"README.{kind}.md.txt", {**words, "frame": text})
    device = topic.rpartition("/")[2] if kind == "tcp" else datatype.topics[0].at(topic).device
    expected = {"topic": topic, "readings": outcomes(datatype, topic, device, payload)}
    folder = Path(plan.module)
    case = folder / "samples" / CASE
    test = Path("tests") / f"test_{plan.name}.py"
    files = {
        folder / "__init__.py": source,
        folder / "README.md": with_tables(readme, [datatype]),
        case / ("frame.hex" if kind == "tcp" else "frame.json"): f"{text}\n",
        case / "expected.json": json.dumps(expected, indent=2, ensure_ascii=False) + "\n",
        test: _fill("test.py.txt", words),
    }
    if plan.package is not None:
        files[Path("pyproject.toml")] = _fill("pyproject.toml.txt", words)
    return files


def write_files(files: Mapping[Path, str]) -> None:
    """Write files that are not there yet. Raises PluginError where one is."""
    if there := [path for path in files if path.exists()]:
        raise PluginError(f"{there[0]} is there already; choose another name, or delete it")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _fill(template: str, words: Mapping[str, str]) -> str:
    text = resources.files("greenpower.kit").joinpath("template", template).read_text("utf-8")
    return Template(text).substitute(words)


def _declared(source: str) -> DataType:
    """What a template that was filled in declares; it is written only if it can."""
    names: dict[str, Any] = {}
    exec(compile(source, "the new plugin", "exec"), names)
    datatype = names["DATATYPE"]
    assert isinstance(datatype, DataType)
    return datatype


def _frame(datatype: DataType) -> bytes:
    """A frame with VALUES, as a device sends it."""
    values = {field.name: VALUES[field.name] for field in datatype.fields}
    if isinstance(poll := datatype.parse, ModbusPoll):
        return b"".join(poll.answer(request.encoded, values) for request in poll.requests)
    wire = wire_of(datatype)
    [payload] = wire.encode(Sample(device_id="DEVICE-1", model=wire.models[0], stamp=STAMP, values=values))
    readings = datatype.parse(Frame(topic="", payload=payload, device="DEVICE"))
    assert Checker(datatype).check(readings[0].values)[1] == {}
    return payload
