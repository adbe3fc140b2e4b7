"""Paths into nested JSON: `ENERGY.Total`, `emeters.0.power`.

What belongs here: what a path is, following one, and building an object from paths. What does not: which path is which
field (`json_parser`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

SEPARATOR = "."
#: starts a path from the top of the frame where paths begin at one of its children
TOP = "$."
MAX_INDEX = 1_000
MISSING: Final = object()

Parts = tuple[str, ...]


def is_path(key: str) -> bool:
    """Whether a key leads into objects or lists. A separator at either end is part of a plain key."""
    return SEPARATOR in key.strip(SEPARATOR)


@lru_cache(maxsize=4096)  # of declarations, not of frames
def parts_of(path: str) -> Parts:
    """The keys and list positions on a path."""
    return tuple(path.split(SEPARATOR)) if is_path(path) else (path,)


def find(within: Any, parts: Parts) -> Any:
    """What a path leads to; MISSING if it leads nowhere. In a list a part is the position, from 0."""
    for part in parts:
        if type(within) is dict:
            within = within.get(part, MISSING)
        elif type(within) is list and part.isdecimal() and len(part) < 5 and int(part) < len(within):
            within = within[int(part)]
        else:
            return MISSING
    return within


def build(values: Iterable[tuple[Parts, Any]]) -> dict[str, Any]:
    """The object in which each path leads to its value; objects whose keys are all positions become lists."""
    top: dict[str, Any] = {}
    for parts, value in values:
        level = top
        for part in parts[:-1]:
            below = level.setdefault(part, {})
            if not isinstance(below, dict):
                break  # another path ends here
            level = below
        else:
            level[parts[-1]] = value
    return {key: _with_lists(value) for key, value in top.items()}


def _with_lists(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    made = {key: _with_lists(item) for key, item in value.items()}
    if made and all(key.isdecimal() and int(key) < MAX_INDEX for key in made):
        return [made.get(str(position), {}) for position in range(max(map(int, made)) + 1)]
    return made
