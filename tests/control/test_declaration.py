"""Declarations of commands: what is refused, and what the contract's rule finds."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from greenpower.catalog.registry import Registry, RegistryError, load_registry
from greenpower.datatype import Command, DataType, DeclarationError, Message, Parameter
from greenpower.datatype.command import NOTED
from greenpower.kit.plugin import Plugin
from greenpower.kit.rules.commands import check_commands

RT = load_registry(None)["rt"]
SET_TIME, SET_INTERVAL, RELAY = (RT.command(name) for name in ("set_time", "set_interval", "relay"))
assert SET_TIME is not None and SET_INTERVAL is not None and RELAY is not None


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Parameter("No"), "'No'"),
        (lambda: Parameter("n", unit="furlong", low=0, high=1), "'furlong'"),
        (lambda: Parameter("n"), "low"),
        (lambda: Parameter("n", kind="text"), "choices"),
        (lambda: Parameter("n", choices=(True,)), "True"),
        (lambda: replace(SET_TIME, name="Set"), "'Set'"),
        (lambda: replace(SET_TIME, expires_after=0), "expires_after"),
        (lambda: replace(SET_TIME, answer="A/+"), r"'A/\+'"),
        (lambda: replace(SET_TIME, parameters=(Parameter("n", low=0, high=1),) * 2), "'n'"),
        (lambda: replace(RT, commands=(SET_TIME, SET_TIME)), "set_time"),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused(make: Callable[[], Any], named: str) -> None:
    with pytest.raises(DeclarationError, match=named):
        make()


@pytest.mark.parametrize("value", [None, True, 1.0, "60", 61, 10**30, [60], {"interval": 60}])
def test_only_what_is_declared_may_be_said(value: Any) -> None:
    assert SET_INTERVAL is not None
    assert SET_INTERVAL.problems({"interval": 60}) == {}
    assert SET_INTERVAL.problems({"interval": value}).keys() == {"interval"}
    limited = replace(SET_INTERVAL, parameters=(Parameter("interval", low=1, high=60),))
    assert bool(limited.problems({"interval": value})) and not limited.problems({"interval": 1})


def test_answers_are_claims() -> None:
    registry = Registry.of(RT)
    found = registry.match_topic("MQTT_TELECTRL_REP")
    assert found is not None and found[1].noted == NOTED
    assert "MQTT_TELECTRL_REP" in registry.topics
    twin = replace(RT, name="twin", collection="twin", endpoint=None, match=RT.match[:1])
    with pytest.raises(RegistryError, match="'MQTT_METER_TIME_REP'"):
        Registry.of(RT, twin)


class Shown:
    """As much of a plugin as the rule looks at."""

    folder = Path("plugins/rt")

    def __init__(self, *commands: Command | None, **changes: Any) -> None:
        self.datatypes: tuple[DataType, ...] = (replace(RT, commands=tuple(filter(None, commands)), **changes),)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"build": lambda order: 1 / 0}, "ZeroDivisionError"),
        ({"build": lambda order: Message(topic="t", payload=b"")}, r"\bt$"),
        ({"build": lambda order: object()}, "build"),
        ({"read_answer": lambda frame: frame.payload[0]}, "read_answer .*IndexError"),
        ({"answer": "OTHER"}, "OTHER"),
    ],
)
def test_the_rule_finds_what_does_not_fit(changes: dict[str, Any], named: str) -> None:
    assert SET_TIME is not None
    (problem,) = check_commands(_plugin(replace(SET_TIME, **changes)))
    assert re.search(named, problem.found) and "set_time" in problem.place


def _plugin(*commands: Command) -> Plugin:
    shown: Any = Shown(*commands)
    plugin: Plugin = shown
    return plugin


def test_the_rule_passes_what_fits_and_tries_every_choice() -> None:
    assert list(check_commands(_plugin(*RT.commands))) == []
    assert SET_INTERVAL is not None and RELAY is not None
    assert [item["interval"] for item in SET_INTERVAL.examples()][:2] == [30, 60]
    assert [item["on"] for item in RELAY.examples()] == [False, True]
