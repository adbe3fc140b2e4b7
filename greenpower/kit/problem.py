"""What a rule finds wrong with a plugin, said so that its author knows what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """place: the file, and what in it. found: what is there. expected: what should be. do: the next step."""

    place: str
    found: str
    expected: str
    do: str

    def __str__(self) -> str:
        return f"{self.place}\n  found:    {self.found}\n  expected: {self.expected}\n  to do:    {self.do}"


class PluginError(Exception):
    """A plugin cannot be looked at. The text is for its author."""


def shown(path: Path) -> str:
    """A path as people write it: from here, if it is below here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def short(value: object, longest: int = 160) -> str:
    """A value in one line that fits."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= longest else f"{text[:longest]} …"
