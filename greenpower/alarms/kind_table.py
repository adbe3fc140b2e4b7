"""Which kinds of rules there are: every module of `greenpower.alarms.kinds` that has a `KIND`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from greenpower.alarms import kinds
from greenpower.alarms.kind import AlarmKind


@cache
def alarm_kinds() -> Mapping[str, AlarmKind]:
    """The kinds by name, in order. Raises ImportError, AttributeError for a module that declares none."""
    names = sorted(module.name for module in iter_modules(kinds.__path__))
    found = [import_module(f"{kinds.__name__}.{name}").KIND for name in names]
    return {kind.name: kind for kind in sorted(found, key=lambda kind: kind.name)}
