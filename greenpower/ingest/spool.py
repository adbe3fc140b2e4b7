"""The spool: frames that are held in memory, also in files of the home, until their readings and events are stored.

The broker keeps what is not acknowledged, but a broker that is killed forgets what it took since its last save. Were
this process killed as well, frames that it held would be in neither, some of them with a reading and without an event.
The next process takes them from the files. They are written without waiting for the disk: they survive the end of any
process, not that of the machine. Where the time of a reading is decided here and cannot be found again by looking at
the frame (`steps.gathering`), it is added to the file before the reading is stored.

What belongs here: the files and who may read them. What does not: what is done with the frames (`pipeline`).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from bson import CodecOptions, decode, encode
from bson.errors import BSONError

from greenpower.broken_file import set_aside
from greenpower.catalog.registry import Registry
from greenpower.config import ConfigError
from greenpower.ingest.arrival import Arrival
from greenpower.mongo.client import Document

log = logging.getLogger(__name__)

FOLDER = "spool"
ENDING = ".frames"
LENGTH_BYTES = 4
LOST = "{} frames of it are stored; what follows them is lost, unless the broker has it"
UTC_TIMES: CodecOptions[Any] = CodecOptions(tz_aware=True)
# What a source gives a frame before it is submitted, beside what each has.
OPTIONAL = ("device", "key", "allowed", "rejected", "noted", "detail", "raw", "packet")
TIMES = "times"  # the key of the document that has the times of frames before it: {number in the file: times}
ENCODING_FAULTS = (BSONError, OverflowError, UnicodeEncodeError, TypeError, ValueError)


class SpoolFile:
    """The frames of one batch. It is written when the event loop has taken what has come, and deleted by `remove`."""

    __slots__ = ("_frames", "_handle", "_spool", "_waiting", "path")

    def __init__(self, spool: Spool, path: Path) -> None:
        self._spool = spool
        self.path = path
        self._frames = 0
        self._waiting: list[bytes] = []
        self._handle: int | None = None

    def add(self, arrival: Arrival) -> None:
        """Take a frame. Never raises: a frame that cannot be written is as safe as it was without a spool."""
        try:
            self._waiting.append(encode(_document(arrival)))
        except ENCODING_FAULTS:
            return
        arrival.spooled = self.path, self._frames
        self._frames += 1
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what was added."""
        data, self._waiting = b"".join(self._waiting), []
        if not data or self._spool.closed:
            return
        try:
            if self._handle is None:
                self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            written = os.write(self._handle, data)
            if written < len(data):
                raise OSError(f"{written} of {len(data)} bytes were written")
        except OSError as error:
            self._spool.failed(error)
        else:
            self._spool.works()

    def close(self) -> None:
        """No more frames come."""
        self.flush()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def remove(self) -> None:
        """Its frames are stored."""
        self._waiting = []
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Left:
    """What an ended process left: the frames of one file, as they came. broken: why not all of it could be read."""

    path: Path
    arrivals: list[Arrival]
    broken: str

    def remove(self) -> None:
        """They are stored. A broken file is set aside."""
        try:
            if self.broken:
                log.warning("%s", set_aside(self.path, self.broken, LOST.format(len(self.arrivals))))
            else:
                self.path.unlink(missing_ok=True)
        except (OSError, ConfigError) as error:
            log.warning("the frames in %s are stored, but it cannot be removed: %s", self.path, error)


class Spool:
    """The files of one ingest process, in a folder that it locks as long as it lives."""

    def __init__(self, home: Path) -> None:
        self.root = home / FOLDER
        self.closed = True
        self._folder = self.root / f"{os.getpid()}-{time.time_ns()}"
        self._lock = -1
        self._number = count()
        self._failing = False

    def open(self) -> None:
        """Make the folder. Where that is not possible, frames are not spooled, and a line says so."""
        try:
            with _locked(self.root):
                self._folder.mkdir(mode=0o700)
                self._lock = os.open(self._folder, os.O_RDONLY | os.O_CLOEXEC)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.closed = False
        except OSError as error:
            self.failed(error)

    def close(self) -> None:
        """Leave; what is still in the folder is for the next process."""
        if not self.closed:
            self.closed = True
            with contextlib.suppress(OSError):
                self._folder.rmdir()
            os.close(self._lock)

    def file(self) -> SpoolFile | None:
        """A file for a new batch; None where nothing is spooled."""
        if self.closed:
            return None
        return SpoolFile(self, self._folder / f"{next(self._number):012d}{ENDING}")

    def keep_times(self, times: Mapping[Arrival, Sequence[datetime]]) -> None:
        """Add the times that the readings of frames were given to the files in which the frames are. Never raises."""
        files: dict[Path, dict[str, list[datetime]]] = {}
        for arrival, several in times.items():
            if arrival.spooled is not None and arrival.times is None:
                path, number = arrival.spooled
                files.setdefault(path, {})[str(number)] = list(several)
        for path, found in files.items():
            try:
                handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
                try:
                    os.write(handle, encode({TIMES: found}))
                finally:
                    os.close(handle)
            except OSError as error:
                self.failed(error)

    def failed(self, error: OSError) -> None:
        """Say that frames cannot be spooled, once."""
        if not self._failing:
            self._failing = True
            log.warning("held frames are in memory only, %s cannot be written: %s", self.root, error.strerror or error)

    def works(self) -> None:
        """A write succeeded."""
        if self._failing:
            self._failing = False
            log.info("held frames are written to %s again", self.root)

    @contextlib.contextmanager
    def left(self, registry: Registry) -> Iterator[Iterator[Left]]:
        """Within it: the frames that ended processes left, in the order in which they came, process by process."""
        claimed: list[tuple[Path, int]] = []
        try:
            if not self.closed:
                with contextlib.suppress(OSError), _locked(self.root):
                    claimed = list(_claimed(self.root))
            yield (found for folder, _ in claimed for found in _read_folder(folder, registry))
        finally:
            for folder, lock in claimed:
                with contextlib.suppress(OSError):  # not empty: something in it is not stored yet
                    folder.rmdir()
                os.close(lock)


@contextlib.contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Alone among the processes of a home."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _claimed(root: Path) -> Iterator[tuple[Path, int]]:
    """The folders whose processes have ended, each locked for us."""
    folders = (path for path in root.iterdir() if path.is_dir() and ".broken-" not in path.name)
    for folder in sorted(folders, key=_began):
        lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            yield folder, lock


def _began(folder: Path) -> tuple[int, str]:
    """When its process began: process ids start anew."""
    began = folder.name.rpartition("-")[2]
    return int(began) if began.isdecimal() else 0, folder.name


def _read_folder(folder: Path, registry: Registry) -> Iterator[Left]:
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            yield Left(path, *_read(path, registry))
        except OSError as error:
            yield Left(path, [], (error.strerror or str(error)).lower())


def _read(path: Path, registry: Registry) -> tuple[list[Arrival], str]:
    """The frames in a file, and why not all of it could be read; empty where it could. Raises OSError."""
    data = path.read_bytes()
    arrivals: list[Arrival] = []
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + LENGTH_BYTES], "little")
        piece = data[at : at + size]
        if size <= LENGTH_BYTES or len(piece) < size:
            return arrivals, "cut off"
        try:
            document = decode(piece, UTC_TIMES)
            if TIMES in document:
                _give_times(arrivals, document[TIMES])
            else:
                arrival = _arrival(document, registry)
                arrival.spooled = path, len(arrivals)
                arrivals.append(arrival)
        except (*ENCODING_FAULTS, KeyError, AttributeError, IndexError) as error:
            return arrivals, f"damaged: {type(error).__name__}"
        at += size
    return arrivals, ""


def _give_times(arrivals: list[Arrival], times: Mapping[str, list[datetime]]) -> None:
    for number, several in times.items():
        arrivals[int(number)].times = tuple(several)


def _document(arrival: Arrival) -> Document:
    document: Document = {
        "topic": arrival.topic,
        "payload": arrival.payload,
        "received_at": arrival.received_at,
        "source": arrival.source,
        "retained": arrival.retained,
    }
    for name in OPTIONAL:
        if value := getattr(arrival, name):
            document[name] = value
    if arrival.datatype is not None:
        document["type"] = arrival.datatype.name
    return document


def _arrival(document: Document, registry: Registry) -> Arrival:
    """A frame as it was submitted; it may have been stored already, so it counts as delivered again."""
    name = document.pop("type", None)
    arrival = Arrival(**document, dup=True)
    if name is not None:
        arrival.datatype = registry.get(name)
    return arrival
