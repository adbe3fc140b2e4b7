"""Pumps: the rules for all plugins, and the dialogue, with a clock of the test's own."""

import pytest

from greenpower.catalog.registry import discover
from greenpower.datatype import FrameError
from greenpower.kit.contract import RULES, problems
from greenpower.kit.plugin import find_plugin

PLUGIN = find_plugin(discover(), "pump")
CLAIM = PLUGIN.datatypes[0].gateways[0]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_is_kept(rule: str) -> None:
    assert problems(PLUGIN, rule) == []


def test_a_round_byte_by_byte() -> None:
    dialogue = CLAIM.dialogue(CLAIM)
    said = b""
    for number, byte in enumerate(b"PUMP0001" + b"P=1.52\r\nQ=12.5\r\nE=8123.4\r\n"):
        dialogue.receive(bytes([byte]), number / 100)
        said += dialogue.take_output()
    assert said == b"?P\r?Q\r?E\r" and dialogue.device_id == "PUMP0001"
    [(frame, _)] = dialogue.take_frames()
    assert frame == b"P=1.52\nQ=12.5\nE=8123.4\n" and dialogue.take_notes() == []


def test_an_answer_that_does_not_come_costs_its_value_only() -> None:
    dialogue = CLAIM.dialogue(CLAIM)
    dialogue.receive(b"PUMP0001P=1\r\n", 0)
    dialogue.tick(2)
    dialogue.receive(b"Q=9\r\nE=5\r\n", 3)
    assert [frame for frame, _ in dialogue.take_frames()] == [b"P=1\nE=5\n"]
    assert [reason for reason, *_ in dialogue.take_notes()] == ["no-answer", "unasked-answer"]
    dialogue.tick(10)
    assert dialogue.take_output().endswith(b"?P\r")
    with pytest.raises(FrameError):
        dialogue.tick(63)
