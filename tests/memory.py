"""Where servers of tests keep their data: in memory where there is plenty, since tests make and drop much of it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from greenpower.stack import Mongod

SHARED_MEMORY = Path("/dev/shm")
# The servers of a test process take a tenth of it.
NEEDED_FOLDER_BYTES = 2 << 30
NEEDED_MEMORY_BYTES = 4 << 30
PREFIX = "greenpower-test-"
# No run of the tests is longer: what is older was left by one that was killed.
LEFT_OVER_SECONDS = 86_400


def data_folder() -> Path | None:
    """A folder in memory that others can make folders in; None where the machine has too little."""
    if not SHARED_MEMORY.is_dir() or not os.access(SHARED_MEMORY, os.W_OK):
        return None
    enough = shutil.disk_usage(SHARED_MEMORY).free >= NEEDED_FOLDER_BYTES
    return SHARED_MEMORY if enough and psutil.virtual_memory().available >= NEEDED_MEMORY_BYTES else None


@contextmanager
def data_home() -> Iterator[Path]:
    """A folder for the data of one server, in memory if possible, removed in the end."""
    folder = data_folder()
    if folder is not None:
        for left in folder.glob(f"{PREFIX}*"):
            if time.time() - left.stat().st_mtime > LEFT_OVER_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=PREFIX, dir=folder, ignore_cleanup_errors=True) as home:
        yield Path(home)


class SmallMongod(Mongod):
    """A mongod with a journal of a few MB, which would be 300 MB from the start."""

    def command(self) -> list[str]:
        return [*super().command(), "--wiredTigerEngineConfigString", "log=(file_max=8MB,prealloc=false)"]
