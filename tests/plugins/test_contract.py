"""Every rule for plugins, on every plugin that is shipped. A new plugin is tested by being there."""

from __future__ import annotations

from functools import cache
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.catalog.registry import PACKAGE, discover
from greenpower.datatype import DataType
from greenpower.kit.contract import RULES, problems
from greenpower.kit.plugin import Plugin, plugins_of
from greenpower.kit.rules.imports import python_lines
from greenpower.kit.rules.safety import PIECES, bad_payloads, unsafe

PLUGINS = [plugin for plugin in plugins_of(discover()) if plugin.origin.startswith(f"{PACKAGE}.")]
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


@pytest.mark.parametrize(("datatype", "name"), PAYLOADS, ids=[f"{item.name}-{name}" for item, name in PAYLOADS])
def test_bad_input_is_no_accident(datatype: DataType, name: str) -> None:
    payload = bad_payloads(datatype)[name]
    assert unsafe(datatype, payload, None) == unsafe(datatype, payload, "DEVICE") == ""


@cache
def known(plugin: Plugin, datatype: DataType) -> list[bytes]:
    return [frame for sample in plugin.samples_of(datatype) for frame in sample.frames]


def mutilated(data: st.DataObject, payload: bytes) -> bytes:
    """A frame with a stretch of it replaced, moved or repeated."""
    start = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(start, min(len(payload), start + 40)))
    piece = data.draw(st.binary(max_size=8) | st.sampled_from([*PIECES, payload[start:end] * 2]))
    return payload[:start] + piece + payload[end:]


@pytest.mark.parametrize(("plugin", "datatype"), TYPES, ids=[datatype.name for _, datatype in TYPES])
@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_readings_that_can_be_stored_or_a_frame_error(
    plugin: Plugin, datatype: DataType, data: st.DataObject
) -> None:
    payload = data.draw(st.sampled_from(known(plugin, datatype)))
    for _ in range(data.draw(st.integers(1, 3))):
        payload = mutilated(data, payload)
    assert unsafe(datatype, payload, data.draw(st.sampled_from([None, "DEVICE"]))) == ""
    assert unsafe(datatype, data.draw(st.binary(max_size=64)), "DEVICE") == ""
