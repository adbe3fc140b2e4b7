"""A small disk that can be filled: a tmpfs, where we may mount one."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

TRIES = 20


class SmallDisk:
    """A folder that holds `size` bytes and no more. Use as `with`; `reason` says why it is only a folder, if it is."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self.reason = ""

    def __enter__(self) -> SmallDisk:
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() != 0:
            self.reason = "not root, so no tmpfs of a size can be mounted"
            return self
        done = self._run("mount", "-t", "tmpfs", "-o", f"size={self.size}", "tmpfs", str(self.folder))
        if done:
            self.reason = f"a tmpfs cannot be mounted here ({done})"
        return self

    def __exit__(self, *_: object) -> None:
        if not self.reason:
            self._run("umount", "-l", str(self.folder))

    def fill(self) -> None:
        """Leave nothing free. Call again: others may have freed some."""
        with self._ballast.open("ab") as file:
            for _ in range(TRIES):
                free = os.statvfs(self.folder)
                left = free.f_bavail * free.f_frsize
                if not left:
                    break
                with suppress(OSError):  # others were quicker to take some
                    os.posix_fallocate(file.fileno(), file.tell(), left)
                    file.seek(0, os.SEEK_END)

    def empty(self) -> None:
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    @staticmethod
    def _run(*command: str) -> str:
        """What went wrong, if anything."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return str(error)
        return (done.stderr.strip() or str(done.returncode)) if done.returncode else ""
