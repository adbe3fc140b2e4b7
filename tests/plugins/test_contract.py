"""Every rule for plugins, tested on every shipped plugin. A new plugin is tested without a new test."""

from __future__ import annotations

from functools import cache
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.catalog.registry import PLUGINS_PACKAGE, discover
from greenpower.catalog.selection import ALL
from greenpower.datatype import DataType
from greenpower.kit.contract import RULES, problems
from greenpower.kit.plugin import Plugin, plugins_of
from greenpower.kit.rules.imports import python_lines
from greenpower.kit.rules.safety import BAD_FRAGMENTS, bad_payloads, parse_problem

PLUGINS = [plugin for plugin in plugins_of(discover(plugins=ALL)) if plugin.origin.startswith(f"{PLUGINS_PACKAGE}.")]
TYPES = [(plugin, datatype) for plugin in PLUGINS for datatype in plugin.datatypes]
PAYLOADS = [(datatype, name) for _, datatype in TYPES for name in bad_payloads(datatype)]


@pytest.mark.parametrize("plugin", PLUGINS, ids=str)
@pytest.mark.parametrize("rule", RULES)
def test_a_shipped_plugin_keeps_the_rule(plugin: Plugin, rule: str) -> None:
    assert "\n".join(map(str, problems(plugin, rule))) == ""


def test_every_folder_is_a_plugin() -> None:
    folder = PLUGINS[0].folder.parent
    found = {path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    assert found == {plugin.name for plugin in PLUGINS}


def test_the_median_plugin_is_short() -> None:
    assert median(python_lines(plugin.folder) for plugin in PLUGINS) < 120
    catalogue = [plugin for plugin in PLUGINS if not any(datatype.by_default for datatype in plugin.datatypes)]
    assert median(python_lines(plugin.folder) for plugin in catalogue) <= 70


@pytest.mark.parametrize(("datatype", "name"), PAYLOADS, ids=[f"{item.name}-{name}" for item, name in PAYLOADS])
def test_bad_input_is_handled(datatype: DataType, name: str) -> None:
    payload = bad_payloads(datatype)[name]
    assert [parse_problem(datatype, payload, device) for device in (None, "DEVICE")] == ["", ""]


@cache
def known(plugin: Plugin, datatype: DataType) -> list[bytes]:
    return [frame for sample in plugin.samples_of(datatype) for frame in sample.frames]


def mutated(data: st.DataObject, payload: bytes) -> bytes:
    """A frame with a part of it replaced, moved or repeated."""
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 40)))
    piece = data.draw(st.binary(max_size=8) | st.sampled_from([*BAD_FRAGMENTS, payload[start:end] * 2]))
    return payload[:start] + piece + payload[end:]


@pytest.mark.parametrize(("plugin", "datatype"), TYPES, ids=[datatype.name for _, datatype in TYPES])
@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_readings_that_can_be_stored_or_a_frame_error(
    plugin: Plugin, datatype: DataType, data: st.DataObject
) -> None:
    payload = data.draw(st.sampled_from(known(plugin, datatype)))
    for _ in range(data.draw(st.integers(1, 3))):
        payload = mutated(data, payload)
    assert parse_problem(datatype, payload, data.draw(st.sampled_from([None, "DEVICE"]))) == ""
    assert parse_problem(datatype, data.draw(st.binary(max_size=64)), "DEVICE") == ""
