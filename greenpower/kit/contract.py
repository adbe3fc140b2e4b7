"""The contract: every rule that a plugin keeps, in the order in which they are worth mending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType

from greenpower.kit.plugin import Plugin, SampleError
from greenpower.kit.problem import Problem, short, shown
from greenpower.kit.rules import (
    clock,
    commands,
    counters,
    fields,
    folder,
    imports,
    rate,
    safety,
    samples,
    schema,
    streams,
)

Rule = Callable[[Plugin], Iterator[Problem]]

RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "name and folder": folder.check_folder,
        "imports": imports.check_imports,
        "README": folder.check_readme,
        "fields": fields.check_fields,
        "samples": samples.check_samples,
        "keys": samples.check_keys,
        "any bytes": safety.check_safety,
        "split and duplicated": streams.check_streams,
        "simulated devices": streams.check_simulated,
        "counters": counters.check_counters,
        "clock": clock.check_clock,
        "commands": commands.check_commands,
        "schema": schema.check_schema,
        "parse rate": rate.check_rate,
    }
)


def problems(plugin: Plugin, rule: str) -> list[Problem]:
    """What one of RULES finds wrong with a plugin."""
    try:
        return list(RULES[rule](plugin))
    except SampleError as error:  # the rule for samples tells it; the others have nothing to look at
        return [error.problem] if rule == "samples" else []
    except Exception as error:  # a plugin is foreign code: what it raises is a fault of its own
        return [
            Problem(
                place=shown(plugin.folder),
                found=f"the plugin raises {type(error).__name__}: {short(str(error))}",
                expected="readings, or FrameError, from any frame",
                do="mend the parser; greenpower plugins try shows what becomes of a frame",
            )
        ]


def check(plugin: Plugin) -> list[Problem]:
    """What all rules find wrong with a plugin."""
    return [problem for rule in RULES for problem in problems(plugin, rule)]
