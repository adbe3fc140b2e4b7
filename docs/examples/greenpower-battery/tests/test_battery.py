"""Battery storage: tests of this plugin."""

from greenpower.catalog.registry import discover
from greenpower.datatype.check import Checker
from greenpower.kit.plugin import find_plugin

DATATYPE = find_plugin(discover(), "battery").datatypes[0]


def test_an_unknown_state_is_left_out() -> None:
    assert Checker(DATATYPE).check({"SOC(%)": 50, "state": 9}) == ({"soc_percent": 50}, {"state": "out-of-range"})
