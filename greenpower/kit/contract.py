"""The contract: the rules for all plugins, in the order in which an author should fix them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import MappingProxyType

from greenpower.kit.plugin import Plugin, SampleError
from greenpower.kit.problem import Problem, short, shown
from greenpower.kit.rules import (
    clock,
    clock_forms,
    commands,
    counters,
    coverage,
    deadline,
    deltas,
    fields,
    files,
    folder,
    garbage,
    imports,
    quantities,
    rate,
    safety,
    samples,
    schema,
    sessions,
    state,
    streams,
)

Rule = Callable[[Plugin], Iterator[Problem]]

RULES: MappingProxyType[str, Rule] = MappingProxyType(
    {
        "name and folder": folder.check_folder,
        "imports": imports.check_imports,
        "files": files.check_files,
        "README": folder.check_readme,
        "fields": fields.check_fields,
        "quantities": quantities.check_quantities,
        "deadline": deadline.check_deadline,
        "samples": samples.check_samples,
        "keys": samples.check_keys,
        "sampled fields": coverage.check_coverage,
        "contradictions": coverage.check_contradictions,
        "state": state.check_state,
        "sessions": sessions.check_sessions,
        "any bytes": safety.check_safety,
        "garbage": garbage.check_garbage,
        "split and duplicated": streams.check_streams,
        "simulated devices": streams.check_simulated,
        "counters": counters.check_counters,
        "deltas": deltas.check_deltas,
        "clock": clock.check_clock,
        "clock forms": clock_forms.check_clock_forms,
        "commands": commands.check_commands,
        "schema": schema.check_schema,
        "parse rate": rate.check_rate,
    }
)

#: the rules that read no frame. The others are not asked about a parser that does not end.
WITHOUT_FRAMES = frozenset(
    {"name and folder", "imports", "files", "README", "fields", "deadline", "counters", "schema"}
)


def problems(plugin: Plugin, rule: str) -> list[Problem]:
    """The problems that one of RULES finds in a plugin. A parser that does not end is one of the rule `deadline`."""
    try:
        if rule not in WITHOUT_FRAMES and plugin.first_run.overrun is not None:
            return []
        return list(RULES[rule](plugin))
    except SampleError as error:  # only the rule for samples reports it; the others have nothing to check
        return [error.problem] if rule == "samples" else []
    except Exception as error:  # a plugin is foreign code: every error is one of the plugin
        return [
            Problem(
                place=shown(plugin.folder),
                found=f"the plugin raises {type(error).__name__}: {short(str(error))}",
                expected="readings or FrameError for every frame",
                fix="correct the parser; greenpower plugins try shows the result of a frame",
            )
        ]


def check(plugin: Plugin) -> list[Problem]:
    """The problems that all rules find in a plugin."""
    return [problem for rule in RULES for problem in problems(plugin, rule)]
