"""MQTT topic filters with named levels: `shellies/{device}/emeter/{channel}/{field}`.

A named level matches one level, as `+` does, and a final `{rest#}` all that follow, as `#` does. What belongs here:
filters, their levels, and how two filters relate. What does not: what a claim does with them (`claim`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from greenpower.datatype.error import DeclarationError

NAMED_LEVEL = re.compile(r"\{([a-z][a-z0-9_]*)(#?)\}")
NAME_IN_TEXT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
WILDCARDS = frozenset("/+#")


def check_filter(topic: str) -> None:
    """Raise DeclarationError where a topic is no MQTT topic filter, or its named levels are not valid."""
    levels = topic.split("/")
    for level in levels:
        if not NAMED_LEVEL.fullmatch(level) and NAMED_LEVEL.search(level):
            raise DeclarationError(f"topic {topic!r}: {level!r} is more than a name; a named level stands alone")
    names = level_names(topic)
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise DeclarationError(f"topic {topic!r}: two levels are named {', '.join(repeated)}")
    plain = plain_filter(topic).split("/")
    wild = any(("+" in level and level != "+") or ("#" in level and level != "#") for level in plain)
    if not topic or "\0" in topic or wild or "#" in plain[:-1] or topic.startswith("$"):
        raise DeclarationError(f"topic {topic!r} is not a valid MQTT topic filter")


def level_names(topic: str) -> tuple[str, ...]:
    """The names of the named levels, in order."""
    return tuple(found[1] for level in topic.split("/") if (found := NAMED_LEVEL.fullmatch(level)))


def plain_filter(topic: str) -> str:
    """The filter as a broker takes it: with `+` and `#` for named levels."""
    return NAMED_LEVEL.sub(lambda found: found[2] or "+", topic)


def read_levels(topic: str, sent: str) -> dict[str, str]:
    """The named levels of a topic that the filter matches, {name: text}. Those of `{rest#}` are joined by `/`."""
    found: dict[str, str] = {}
    levels = sent.split("/")
    for number, level in enumerate(topic.split("/")):
        if (named := NAMED_LEVEL.fullmatch(level)) is not None:
            found[named[1]] = "/".join(levels[number:]) if named[2] else levels[number]
    return found


def fill_names(text: str, levels: Mapping[str, str]) -> str:
    """A text with the levels in place of their names in braces."""
    return NAME_IN_TEXT.sub(lambda found: levels[found[1]], text)


def read_names(text: str, filled: str) -> dict[str, str] | None:
    """The inverse of `fill_names`: which levels fill a text so. The first names take as much as they can.

    None where none do. A level has no wildcard and no `/`, so that it means no more than itself in a filter.
    """
    pattern, end = "", 0
    for found in NAME_IN_TEXT.finditer(text):
        again = f"(?P={found[1]})" if f"(?P<{found[1]}>" in pattern else f"(?P<{found[1]}>[^/+#]+)"
        pattern += re.escape(text[end : found.start()]) + again
        end = found.end()
    matched = re.fullmatch(pattern + re.escape(text[end:]), filled)
    return None if matched is None else matched.groupdict()


def narrow(topic: str, levels: Mapping[str, str]) -> str:
    """The plain filter with some of the named levels filled in."""
    return plain_filter(NAMED_LEVEL.sub(lambda found: levels.get(found[1], found[0]), topic))


def topics_overlap(one: str, other: str) -> bool:
    """Whether any topic matches both plain filters. A topic without wildcards is a filter too."""
    mine, theirs = one.split("/"), other.split("/")
    for index in range(max(len(mine), len(theirs))):
        left = mine[index] if index < len(mine) else None
        right = theirs[index] if index < len(theirs) else None
        if left == "#" or right == "#":
            return True
        if left is None or right is None or (left != right and "+" not in (left, right)):
            return False
    return len(mine) == len(theirs)


def is_within(one: str, other: str) -> bool:
    """Whether every topic that matches the plain filter `one` matches `other` as well."""
    mine, theirs = one.split("/"), other.split("/")
    for index, wider in enumerate(theirs):
        if wider == "#":
            return True
        if index >= len(mine) or mine[index] == "#" or (mine[index] != wider and wider != "+"):
            return False
    return len(mine) == len(theirs)
