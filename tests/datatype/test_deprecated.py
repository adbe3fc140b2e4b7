"""Old names in the plugin API: they work with a warning."""

from __future__ import annotations

import importlib
from dataclasses import replace

import pytest

from greenpower import datatype
from greenpower.catalog.registry import load_registry
from greenpower.datatype import JsonCommand, JsonCommandFormat, SimulatedResponse

NO_RESPONSE = SimulatedResponse(topics=lambda device: (), obey=lambda device, memory, message: ())


@pytest.mark.parametrize(
    ("old", "new"),
    [("JsonDialect", JsonCommandFormat), ("Phrase", JsonCommand), ("Obedience", SimulatedResponse)],
)
def test_an_old_class_is_the_new_one(old: str, new: type) -> None:
    with pytest.warns(DeprecationWarning):
        assert getattr(datatype, old) is new


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(AttributeError):
        _ = datatype.JsonSomething


def test_an_old_argument_is_accepted() -> None:
    environment = load_registry(None)["environment"]
    with pytest.warns(DeprecationWarning):
        changed = replace(environment, obedience=NO_RESPONSE)  # type: ignore[call-arg]
    assert changed.simulated_response is NO_RESPONSE
    with pytest.warns(DeprecationWarning):
        assert changed.obedience is NO_RESPONSE  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        replace(environment, obedient=NO_RESPONSE)  # type: ignore[call-arg]


def test_the_registry_is_found_in_its_old_place() -> None:
    old = importlib.import_module("greenpower.registry")
    with pytest.warns(DeprecationWarning):
        assert old.load_registry is load_registry
