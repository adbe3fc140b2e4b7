"""Files that commands write while other programs may read them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file in one step. An existing file is replaced and keeps its mode, and its owner if that is allowed.

    Raises OSError; the old file is then unchanged. (click's atomic file would replace it by a part when the disk is
    full.)
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    draft.touch()
    if path.exists():
        there = path.stat()
        with suppress(PermissionError):
            os.chown(draft, there.st_uid, there.st_gid)
        draft.chmod(there.st_mode)
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.replace(path)
