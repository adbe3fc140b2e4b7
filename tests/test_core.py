"""The core knows no plugin, and its packages say what belongs there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

from greenpower.catalog.registry import load_registry
from greenpower.datatype import DataType, Mqtt

ROOT = Path(__file__).parent.parent
# Names that are words as well: as a string by themselves they are names, elsewhere they need not be.
WORDS = {"environment", "generator", "solar"}
# The part that a meter point plays in a site, whatever type of device measures it.
ROLES = ROOT / "greenpower" / "datatype" / "carrier.py"


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
        assert not WORDS & strings or path == ROLES, path


def test_packages_say_what_belongs_there() -> None:
    packages = [path for path in (ROOT / "greenpower").rglob("__init__.py") if "node_modules" not in path.parts]
    assert len(packages) > 30
    for package in packages:
        assert ast.get_docstring(ast.parse(package.read_text("utf-8"))), package


def test_plugins_may_import_nothing_but_what_is_theirs() -> None:
    """import-linter is told what is forbidden, so a new package must be named there."""
    contracts = ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    told = contracts["importlinter:contract:plugins"]["forbidden_modules"].split()
    parts = {path.name.removesuffix(".py") for path in (ROOT / "greenpower").iterdir() if path.suffix in (".py", "")}
    forbidden = {f"greenpower.{part}" for part in parts if not part.startswith("__")}
    assert forbidden - {*told} == {"greenpower.datatype", "greenpower.framing"}


def test_packages_of_tests_say_what_is_tested() -> None:
    for path in (ROOT / "tests").rglob("__init__.py"):
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path
