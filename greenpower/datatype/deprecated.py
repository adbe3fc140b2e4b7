"""Old names in the plugin API: they work for one release, with a DeprecationWarning that gives the new name.

What belongs here: how an old name is kept. What does not: the list of old names, which is next to the new ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

Declared = TypeVar("Declared", bound=type)


def warn_renamed(old: str, new: str) -> None:
    """Warn the code that called this function's caller."""
    warnings.warn(f"{old} is now {new}; the next release removes the old name", DeprecationWarning, stacklevel=3)


def renamed_arguments(**names: str) -> Callable[[Declared], Declared]:
    """Let a declaration accept arguments under their old names too. names: old=new.

    The old name is also a property of the declaration.
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
