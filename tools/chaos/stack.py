"""The whole stack as processes: real servers, our services as they ship, and links between them that can fail.

What belongs here: what runs, with which settings, starting and ending each piece. What does not: what befalls it.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.stack import Mongod, Mosquitto, Part, Valkey
from greenpower.stack.port import free_port
from greenpower.stack.probe import http_trouble, scheduler_trouble, worker_trouble
from tests.process import Command
from tests.wait import wait_until
from tools.chaos.disk import SmallDisk
from tools.chaos.link import Link

if TYPE_CHECKING:
    from pgserver.postgres_server import PostgresServer

SERVICES = {
    "ingest": ("ingest", "--mqtt", "--tcp"),
    "worker": ("worker",),
    "scheduler": ("scheduler",),
    "realtime": ("realtime",),
}
PATIENCE = 60


class Stack:
    """Use as `with`. sql: DATABASE_URL. disk: bytes that mongod's data may take, 0 for no bound of its own.

    postgres: the server behind `sql`, where it is this stack's alone and may be killed.
    """

    def __init__(self, home: Path, sql: str, *, disk: int = 0, postgres: PostgresServer | None = None) -> None:
        self.home = home
        self.postgres = postgres
        self.disk = SmallDisk(home / "disk", disk) if disk else None
        self.mongod = Mongod((home / "disk" if disk else home) / "mongod")
        self.valkey, self.mosquitto = Valkey(home / "valkey"), Mosquitto(home / "mosquitto")
        self.parts: dict[str, Part] = {"mongod": self.mongod, "valkey": self.valkey, "broker": self.mosquitto}
        self.links = {
            "devices": Link(self.mosquitto.port),
            "mqtt": Link(self.mosquitto.port),
            "mongo": Link(self.mongod.port),
        }
        self.services: dict[str, Command] = {}
        self.died: list[str] = []
        self.settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=home,
            secret_key=SecretStr("s" * 40),
            jwt_signing_key=SecretStr("j" * 40),
            admin_password=SecretStr("correct horse"),
            database_url=SecretStr(sql),
            mongo_db_uri=SecretStr(f"mongodb://127.0.0.1:{self.links['mongo'].port}"),
            mongo_db_name="chaos",
            redis_url=SecretStr(self.valkey.url),
            mqtt_broker="127.0.0.1",
            mqtt_port=self.links["mqtt"].port,
            mqtt_client_id="chaos-ingest",
            tcp_port=free_port(),
            realtime_port=free_port(),
            ingest_http_port=free_port(),
            log_level="WARNING",
        )
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> Stack:
        with contextlib.ExitStack() as stack:
            if self.disk is not None:
                stack.enter_context(self.disk)
            for part in self.parts.values():
                stack.enter_context(part)
            for link in self.links.values():
                stack.enter_context(link)
            stack.callback(self._kill_all)
            with Command(self.settings, "init", folder=self.home) as init:
                assert init.process.wait(PATIENCE) == 0, init.log.read_text()
            for name in SERVICES:
                self.start(name)
            self.wait_well()
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def start(self, name: str) -> None:
        """Start a part or a service, the service without waiting."""
        if name in self.parts:
            self.parts[name].start()
        else:
            self.services[name] = Command(self.settings, *SERVICES[name], folder=self.home)

    def kill(self, name: str) -> None:
        """kill -9 of that one process; what it forked lives on, as it would."""
        (self.parts[name] if name in self.parts else self.services[name]).kill()

    def kill_postgres(self) -> None:
        """kill -9 of the postmaster; its backends end themselves when they notice, and before that none starts anew."""
        assert self.postgres is not None
        postmaster = psutil.Process(self.postgres.get_pid())
        family = [postmaster, *postmaster.children(recursive=True)]
        postmaster.kill()
        psutil.wait_procs(family, PATIENCE)

    def freeze(self, name: str) -> Callable[[], None]:
        """SIGSTOP of a process and of what it forked. Returns what thaws it."""
        frozen = [psutil.Process(self.pid(name))]
        frozen += frozen[0].children(recursive=True)
        for process in frozen:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGSTOP)

        def thaw() -> None:
            for process in frozen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)

        return thaw

    def pid(self, name: str) -> int:
        return self.parts[name].pid if name in self.parts else self.services[name].process.pid

    def look(self) -> None:
        """Start again what ended by itself, which nothing should, and note it in `died`."""
        for name, command in self.services.items():
            if (code := command.process.poll()) is not None:
                self.died.append(f"{name} ended with {code}: {command.log.read_text()[-2000:]}")
                self.start(name)
        for name, part in self.parts.items():
            if not part.alive:
                self.died.append(f"{name} ended")
                part.start()

    def trouble(self) -> str:
        """What does not answer; empty when all is well."""
        settings, url = self.settings, self.valkey.url
        return (
            http_trouble("127.0.0.1", settings.ingest_http_port, "/health")
            or http_trouble("127.0.0.1", settings.realtime_port, "/health")
            or worker_trouble(url, self.pid("worker"))
            or scheduler_trouble(url, self.pid("scheduler"))
        )

    def wait_well(self, timeout: float = PATIENCE) -> None:
        """Wait until every process answers."""
        wait_until(lambda: not self.trouble(), timeout, every=0.2)

    def strangers(self) -> list[str]:
        """Processes of ours that none of the services has: orphans of those that were killed."""
        ours = {command.process.pid for command in self.services.values()}
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("GREENPOWER_HOME") != str(self.home) or process.pid in ours:
                    continue
                if process.status() == psutil.STATUS_ZOMBIE or any(up.pid in ours for up in process.parents()):
                    continue
                found.append(f"{process.pid} {' '.join(process.cmdline()[-4:])}")
        return found

    def _kill_all(self) -> None:
        for link in self.links.values():
            link.heal()
        for command in self.services.values():
            command.kill()
        end = time.monotonic() + 20
        while self.strangers() and time.monotonic() < end:  # jobs of killed workers end by themselves
            for line in self.strangers():
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(int(line.split()[0])).kill()
            time.sleep(0.1)
