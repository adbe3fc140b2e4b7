"""The files of a part whose loss can be borne: when they are broken, and what is lost with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from greenpower.broken_file import set_aside

# A full disk is no damage: the same files can be read when there is room again.
FULL_DISK = "No space left"
SHOWN_CHARACTERS = 200


@dataclass(slots=True, kw_only=True)
class Store:
    """Files that are set aside before a start where they are broken. path: of the file or folder.

    lost: what is gone with it.

    check: why it is broken, by a look into it; empty where nothing is seen. blames: lines of the part's output that say
    that it could not be read.
    """

    path: Path
    lost: str
    blames: re.Pattern[str]
    check: Callable[[Path], str] = field(default=lambda path: "")
    _blame: str = ""
    _has_been_read: bool = False

    def hear(self, line: str) -> None:
        """Take a line of the part's output. Once it has read its files, no line can say that it cannot."""
        if (
            not self._has_been_read
            and not self._blame
            and FULL_DISK not in line
            and (found := self.blames.search(line))
        ):
            self._blame = line[found.start() :][:SHOWN_CHARACTERS].strip()

    def answered(self) -> None:
        """The part answers: it has read its files."""
        self._blame, self._has_been_read = "", True

    def set_aside_broken(self) -> list[str]:
        """Before a start: set the files aside where they are broken. Returns the lines for the operator."""
        why, self._blame, self._has_been_read = self._blame, "", False
        if not (self.path.exists() or self.path.is_symlink()):
            return []
        why = why or self.check(self.path)
        return [set_aside(self.path, why, self.lost)] if why else []
