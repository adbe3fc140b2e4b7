"""Benches of `greenpower ingest` as it ships: (c) frames that wait at the broker, for one process or for several that
share them, (d) gateways over TCP.

Each checks that nothing was lost.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack import Mongod, Mosquitto
from greenpower.stack.port import free_port
from tests.process import Command
from tests.wait import wait_until
from tools.bench.frames import end_session, publish

Packets = list[tuple[str, bytes]]
Document = dict[str, Any]
EVENTS = "telemetry_events"
DIALLED = "solar_data"
GATEWAY_SECONDS = 5.0
PATIENCE = 240


class BenchError(Exception):
    """The figures mean nothing: something was lost or never ended."""


class Bench:
    """What the benches run on. home: an empty directory. plugins: as in GREENPOWER_PLUGINS."""

    def __init__(self, home: Path, mongod: Mongod, mosquitto: Mosquitto, plugins: str = "") -> None:
        self.home, self.mongod, self.mosquitto, self.plugins = home, mongod, mosquitto, plugins

    def settings(self) -> Settings:
        """A database and a session of its own."""
        return Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=self.home,
            greenpower_plugins=self.plugins,
            mongo_db_uri=SecretStr(self.mongod.uri),
            mongo_db_name=f"bench_{uuid4().hex[:8]}",
            mqtt_broker=self.mosquitto.host,
            mqtt_port=self.mosquitto.port,
            mqtt_client_id=f"bench-{uuid4().hex[:8]}",
            ingest_http_port=free_port(),
            tcp_port=free_port(),
            tcp_lines_port=free_port(),
            log_level="WARNING",
        )

    def members(self, settings: Settings, count: int) -> list[Settings]:
        """So many processes on one database; several share the frames, each with a session of its own."""
        if count == 1:
            return [settings]
        return [
            settings.model_copy(
                update={
                    "mqtt_shared": True,
                    "mqtt_client_id": f"{settings.mqtt_client_id}-{number}",
                    "ingest_http_port": free_port(),
                }
            )
            for number in range(count)
        ]

    @contextmanager
    def running(self, members: Sequence[Settings], *sources: str) -> Iterator[list[Command]]:
        """Ingest processes that start at the same time; stopped in the end."""
        with ExitStack() as stack:
            commands = [
                stack.enter_context(Command(member, "ingest", *sources, folder=self.home)) for member in members
            ]
            yield commands
            for command in commands:
                command.stop()

    def drain(
        self,
        packets: Packets,
        readings: dict[str, int],
        gateways: int = 0,
        processes: int = 1,
        verify: Callable[[Database[Document]], None] = lambda db: None,
    ) -> float:
        """Frames a second, from the arrival of the first to the last event of those that came over MQTT.

        readings: how many each collection must hold in the end. gateways: how many send a round a second meanwhile.
        processes: how many share the frames; the broker keeps for each the part that it gave it while they were away.
        verify: looks at the database in the end.
        """
        settings = self.settings()
        members = self.members(settings, processes)
        sources = ("--mqtt", "--tcp") if gateways else ("--mqtt",)
        with MongoClient[Document](self.mongod.uri, tz_aware=True) as client:
            db = client[settings.mongo_db_name]
            with self.running(members, "--mqtt") as commands:
                for command in commands:
                    command.wait_healthy()
            asyncio.run(publish(self.mosquitto.host, self.mosquitto.port, packets))
            load = self.load(settings, gateways, GATEWAY_SECONDS, pause=1) if gateways else None

            def dialled() -> int:
                return db[DIALLED].estimated_document_count() if gateways else 0

            with self.running(members, *sources):
                wait_until(lambda: db[EVENTS].estimated_document_count() - dialled() >= len(packets), PATIENCE)
                ended, rounds = datetime.now(UTC), dialled()
                total = 0 if load is None else finish(load)["rounds"]
            for member in members:
                asyncio.run(end_session(self.mosquitto.host, self.mosquitto.port, member.mqtt_client_id))
            began = db[EVENTS].find_one(sort=[("received_at", 1)], projection={"received_at": 1})
            assert began is not None
            check(db, len(packets) + int(total), {**readings, **({DIALLED: int(total)} if gateways else {})})
            verify(db)
            client.drop_database(db.name)
        seconds: float = (ended - began["received_at"]).total_seconds()
        return (len(packets) + rounds) / seconds

    def load(self, settings: Settings, count: int, seconds: float, pause: float = 0) -> subprocess.Popen[str]:
        """Gateways in a process of their own."""
        command = [sys.executable, "-m", "tools.bench.load", "--port", str(settings.tcp_port)]
        command += ["--gateways", str(count), "--seconds", str(seconds), "--pause", str(pause)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def gateways(self, count: int, seconds: float) -> dict[str, float]:
        """So many gateways that answer at once: `rate`, readings a second, and `processor_us`, what a reading costs
        the process that plays them."""
        settings = self.settings()
        with MongoClient[Document](self.mongod.uri, tz_aware=True) as client:
            db = client[settings.mongo_db_name]
            with Command(settings, "ingest", "--tcp", folder=self.home) as command:
                command.wait_healthy()
                figures = finish(self.load(settings, count, seconds))
                command.stop()
            rounds = int(figures["rounds"])
            stored = db[EVENTS].count_documents({"outcome": {"$in": ["stored", "duplicate"]}})
            if stored != rounds or not rounds:
                raise BenchError(f"lost: {stored} of {rounds} rounds are in the events")
            client.drop_database(db.name)
        return figures


def finish(load: subprocess.Popen[str]) -> dict[str, float]:
    """Wait for the gateways to end, and what they did."""
    output, errors = load.communicate()
    if load.returncode:
        raise BenchError(f"the load failed:\n{errors[-2000:]}")
    figures: dict[str, float] = json.loads(output)
    return figures


def check(db: Database[Document], frames: int, readings: dict[str, int]) -> None:
    """Raise BenchError unless every frame was stored, once."""
    found = {name: db[name].count_documents({}) for name in readings}
    # A part without a device is noted while it waits, and a duplicate where the part that names one was quicker to
    # store it: what counts is that its values are in the reading.
    stored = db[EVENTS].count_documents({"outcome": {"$ne": "rejected"}})
    if found != readings or stored != frames:
        raise BenchError(f"lost: {found} of {readings} readings, {stored} of {frames} frames stored")
