"""Files that commands write and others read meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a file in one step. One that is there is replaced and keeps its mode, and its owner where we may say so.

    Raises OSError, and the file is as it was. Not so click's atomic file: when the disk is full it puts what it could
    write in the other's place.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch()
    if path.exists():
        there = path.stat()
        with suppress(PermissionError):
            os.chown(draft, there.st_uid, there.st_gid)
        draft.chmod(there.st_mode)
    draft.write_text(text, "utf-8")
    draft.replace(path)
