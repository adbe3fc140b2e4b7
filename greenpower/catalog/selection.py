"""Which plugins are in force: those that are by default, unless GREENPOWER_PLUGINS or the site file says otherwise.

What belongs here: reading such a list of names, and choosing by it. What does not: finding plugins (`registry`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from greenpower.catalog.conflict import Loaded

#: the name that stands for every plugin there is
ALL = "all"


class SelectionError(Exception):
    """A list of plugins cannot be used. The text is one line, for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A list of plugins. only: these and no others; None: those by default, and changes to them."""

    only: frozenset[str] | None = None
    added: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> Selection:
        """From names with commas between them: `meter,station` is these only, `+meter,-station` changes what is in
        force by default. Raises SelectionError."""
        names = [name for part in text.split(",") if (name := part.strip())]
        signed = [name for name in names if name[0] in "+-"]
        if signed and len(signed) < len(names):
            raise SelectionError(f"{text!r}: give names only, or a + or - before each")
        if names and not signed:
            return cls(only=frozenset(names))
        return cls(
            added=frozenset(name[1:].strip() for name in names if name[0] == "+"),
            removed=frozenset(name[1:].strip() for name in names if name[0] == "-"),
        )

    def choose(self, loaded: Iterable[Loaded], named: Iterable[str] = ()) -> tuple[Loaded, ...]:
        """Those of the installed data types that are in force. named: the types that a site file changes.

        A name is that of a data type, or of a plugin's folder or module with all of its types. Raises SelectionError.
        """
        items = tuple(loaded)
        known = {name for item in items for name in _names(item)}
        if unknown := sorted(((self.only or frozenset()) | self.added | self.removed) - known - {ALL}):
            raise SelectionError(f"unknown plugin {unknown[0]!r}; choose from {', '.join(sorted(known))}")
        return tuple(item for item in items if self._takes(item, frozenset(named)))

    def _takes(self, item: Loaded, named: frozenset[str]) -> bool:
        names = _names(item)
        if self.only is not None:
            return ALL in self.only or not names.isdisjoint(self.only)
        if not names.isdisjoint(self.removed):
            return False
        return item.datatype.by_default or ALL in self.added or not names.isdisjoint(self.added | named)


def _names(item: Loaded) -> frozenset[str]:
    return frozenset({item.datatype.name, item.origin.rpartition(".")[2]})
