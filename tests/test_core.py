"""The core knows no plugin: no file of it says the name of one, nor what one claims."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from greenpower.datatype import DataType, Mqtt
from greenpower.registry import load_registry

ROOT = Path(__file__).parent.parent
# Names that are words as well: as a string by themselves they are names, elsewhere they need not be.
WORDS = {"environment", "generator", "solar"}


def names_of(datatype: DataType) -> Iterator[str]:
    """Whatever names a data type: none of it may stand in the core."""
    yield from (datatype.name, datatype.collection)
    if datatype.endpoint is not None:
        yield datatype.endpoint
    yield from (claim.topic for claim in datatype.match if isinstance(claim, Mqtt))
    yield from (topic for command in datatype.commands for topic in command.answers)


def test_no_core_file_names_a_plugin() -> None:
    loaded = load_registry(None).loaded
    names = {name for item in loaded for name in (item.origin, *names_of(item.datatype))}
    assert {"rt", "eny_now", "plugins.rt", "MQTT_RT_DATA", *WORDS} <= names
    written = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(names - WORDS)))})(?![\w-])")
    files = [path for path in (ROOT / "greenpower").rglob("*.py") if "node_modules" not in path.parts]
    assert len(files) > 200
    for path in files:
        text = path.read_text("utf-8")
        assert not written.findall(text), path
        strings = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
        assert not WORDS & strings, path
