"""Inverters: the rules for all plugins, and tests of this one."""

import pytest

from greenpower.catalog.registry import discover
from greenpower.datatype import Frame
from greenpower.kit.contract import RULES, problems
from greenpower.kit.plugin import find_plugin

PLUGIN = find_plugin(discover(), "inverter")


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_kept(rule: str) -> None:
    assert problems(PLUGIN, rule) == []


def test_each_unit_is_a_device() -> None:
    poll = PLUGIN.datatypes[0].parse
    payload = b"".join(poll.answer(request.encoded, {"power": 48.01}) for request in poll.requests)
    readings = poll(Frame(topic="t", payload=payload, device="INVGW0001"))
    assert [reading.device_id for reading in readings] == ["INVGW0001-1", "INVGW0001-2"]
    assert [reading.values["power"] for reading in readings] == [48.01, 48.01]
