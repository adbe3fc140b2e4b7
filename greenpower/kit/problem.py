"""A problem that a rule finds in a plugin, and the error for a plugin that cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """place: the file and the part of it. found: what is wrong. expected: what is right. fix: what to do.

    field, sample, topic: what it concerns, where it is about one; empty where it is not.
    """

    place: str
    found: str
    expected: str
    fix: str
    field: str = ""
    sample: str = ""
    topic: str = ""

    def __str__(self) -> str:
        about = [
            f"{name} {value}"
            for name, value in (("field", self.field), ("sample", self.sample), ("topic", self.topic))
            if value
        ]
        concerns = f"\n  in:       {', '.join(about)}" if about else ""
        return f"{self.place}{concerns}\n  found:    {self.found}\n  expected: {self.expected}\n  to fix:   {self.fix}"


class PluginError(Exception):
    """A plugin cannot be read. The text is for its author."""


def shown(path: Path) -> str:
    """A path for people: relative to the current directory if it is in it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def short(value: object, max_characters: int = 160) -> str:
    """A value as text, cut after `max_characters`."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= max_characters else f"{text[:max_characters]} …"
