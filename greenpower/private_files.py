"""Files and folders that only their owner can read: telemetry, users, keys, backups.

What belongs here: modes, of new files and of those that are there. What does not: what is in them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
OTHERS = 0o077  # the bits of group and others
# What processes of ours make in GREENPOWER_HOME. Nothing else there is touched: the folder may have another use too.
IN_HOME = (
    *("run", "mongod", "valkey", "mosquitto", "amqtt", "spool"),
    *("secrets.env*", "greenpower.sqlite3*", "*.broken-*"),
)


@contextmanager
def private_files() -> Iterator[None]:
    """All that this process and its children make meanwhile is for their user alone."""
    before = os.umask(OTHERS)
    try:
        yield
    finally:
        os.umask(before)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can look into. One that is there keeps its mode. Raises OSError."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def sqlite_files(sql_url: str) -> list[Path]:
    """The files of a database of users that is SQLite, wherever they are."""
    scheme, _, place = sql_url.partition(":///")
    path = Path(place.partition("?")[0])
    return list(path.parent.glob(f"{path.name}*")) if scheme.startswith("sqlite") and path.name else []


def private_opener(path: str, flags: int) -> int:
    """For `open(opener=)`: a file that is made is 0600 from the first moment."""
    return os.open(path, flags, PRIVATE_FILE)


def close_to_others(home: Path, *more: Path) -> int:
    """Take the rights of group and others from what is ours in a home, and from `more`. Returns how many had any.

    What belongs to another user, and what links lead to, is left. A shared folder such as /tmp stays as it is; what is
    ours in it is closed.
    """
    places = [*more, *(found for pattern in IN_HOME for found in home.glob(pattern))]
    closed = 0 if _is_shared(home) else _close(home)
    return closed + sum(_close(path) for place in places for path in _tree(place))


def _tree(place: Path) -> Iterator[Path]:
    yield place
    if place.is_symlink() or not place.is_dir():
        return
    for folder, names, files in os.walk(place):
        yield from (Path(folder) / name for name in (*names, *files))


def _is_shared(folder: Path) -> bool:
    with suppress(OSError):
        mode = folder.stat().st_mode
        return bool(mode & stat.S_ISVTX) or folder.resolve() in (Path("/"), Path.home())
    return True


def _close(path: Path) -> int:
    """1 if it was open to others and is not any more, else 0."""
    with suppress(OSError):
        found = path.lstat()
        if found.st_uid == os.geteuid() and not stat.S_ISLNK(found.st_mode) and found.st_mode & OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)
            return 1
    return 0
