"""Old names of the plugin API: they work for one release, with a DeprecationWarning that gives the new name.

What belongs here: how a name is renamed. What does not: which names were renamed, that stands with what they name.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Declared = TypeVar("Declared", bound=type)


def warn_renamed(old: str, new: str) -> None:
    """Warn the code that called the caller of this function."""
    warnings.warn(f"{old} is now {new}; the old name goes with the next release", DeprecationWarning, stacklevel=3)


def renamed_arguments(**names: str) -> Callable[[Declared], Declared]:
    """Let a declaration take arguments under their old names, too. names: old=new.

    The old name is also a property of what was declared.
    """

    def decorate(cls: Declared) -> Declared:
        build = cls.__init__  # type: ignore[misc]

        @wraps(build)
        def build_from_either(self: Any, *arguments: Any, **given: Any) -> None:
            for old in names.keys() & given.keys():
                warn_renamed(f"{old}=", f"{names[old]}=")
                given[names[old]] = given.pop(old)
            build(self, *arguments, **given)

        cls.__init__ = build_from_either  # type: ignore[misc]
        for old, new in names.items():
            setattr(cls, old, _renamed_property(old, new))
        return cls

    return decorate


def _renamed_property(old: str, new: str) -> property:
    def read(self: Any) -> Any:
        warn_renamed(old, new)
        return getattr(self, new)

    return property(read)
