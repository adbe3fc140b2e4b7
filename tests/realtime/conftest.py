"""Fixtures of the live tests: a gateway as a process, clients, and what ingest would tell Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
import jwt
import pytest
import redis
import socketio
from redis.asyncio import Redis

from greenpower.bus.latest import Latest
from greenpower.bus.message import reading_message
from greenpower.bus.publisher import put_statuses
from greenpower.config import Settings
from tests.process import Command
from tests.wait import wait_until

NAMESPACE = "/telemetry"
KEY = "j" * 40
Message = dict[str, Any]


def make_token(lifetime: float = 600, key: str = KEY, **claims: Any) -> str:
    """An access token as the API makes it."""
    now = time.time()
    known = {"iss": "greenpower", "sub": "1", "type": "access", "fam": "f" * 32, "role": "viewer", "jti": "j"}
    return jwt.encode({**known, "iat": now, "exp": now + lifetime, **claims}, key, algorithm="HS256")


def make_reading(device: str = "D1", second: float = 0, type_name: str = "rt", **payload: float) -> Message:
    """A reading message; `second` after a time of its own."""
    at = datetime.fromtimestamp(1_770_000_000 + second, UTC)
    return reading_message(type_name, device, at, at, payload or {"ua": 230.5})


def tell(url: str, *readings: Message, whole: bool = False) -> bool:
    """What ingest does: keep readings in Redis and tell them."""

    async def go() -> bool:
        client = Redis.from_url(url)
        try:
            return await Latest(client).put(readings[0]["type"], readings, whole=whole)
        finally:
            await client.aclose()

    return asyncio.run(go())


def tell_status(url: str, *statuses: Message, loud: bool = True) -> None:
    """What ingest and the job do when a status changes."""

    async def go() -> None:
        client = Redis.from_url(url)
        await put_statuses(client, list(statuses), tell=loud)
        await client.aclose()

    asyncio.run(go())


def make_status(device: str = "D1", status: str = "online", since: str = "2026-01-01T00:00:00.000Z") -> Message:
    return {
        "type": "rt", "device_id": device, "status": status, "since": since, "last_heard": since, "last_reading": None,
    }  # fmt: skip


class Browser:
    """A Socket.IO client that keeps what it is sent, by event."""

    def __init__(
        self, port: int, token: str | None = None, *, reconnection: bool = False, polling: bool = False
    ) -> None:
        self.client = socketio.Client(reconnection=reconnection, reconnection_delay=0.1, reconnection_delay_max=0.3)
        self.inbox: Queue[tuple[str, Any]] = Queue()
        self.port = port
        self.token = make_token() if token is None else token
        self.transports = ["polling"] if polling else ["websocket"]
        for event in ("reading", "snapshot", "device_status", "ended", "connect", "disconnect", "connect_error"):
            self.client.on(event, self._keeper(event), namespace=NAMESPACE)

    def _keeper(self, event: str) -> Callable[..., None]:
        return lambda *data: self.inbox.put((event, data[0] if data else None))

    def connect(self) -> Browser:
        self.client.connect(
            f"http://127.0.0.1:{self.port}",
            auth={"token": self.token} if self.token else {},
            namespaces=[NAMESPACE],
            transports=self.transports,
            wait_timeout=60,
        )
        return self

    def ask(self, event: str, **data: Any) -> Message:
        answer: Message = self.client.call(event, data, namespace=NAMESPACE, timeout=60)
        return answer

    def subscribe(self, device_id: str = "*", type_name: str = "rt", **more: Any) -> Message:
        return self.ask("subscribe", type=type_name, device_id=device_id, **more)

    def next(self, event: str, timeout: float = 60) -> Any:
        """The next message of an event; others are passed over."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            with suppress(Empty):
                name, data = self.inbox.get(timeout=left)
                if name == event:
                    return data
        raise AssertionError(f"no {event} within {timeout} s")

    def quiet(self, seconds: float = 0.5) -> bool:
        """Whether no reading or snapshot comes for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with suppress(Empty):
                if self.inbox.get(timeout=left)[0] in ("reading", "snapshot"):
                    return False
        return True

    def close(self) -> None:
        """Disconnect, or give up connecting again."""
        self.client.shutdown()
        if self.client.eio.http is not None:
            self.client.eio.http.close()


Open = Callable[..., Browser]
Start = Callable[..., Command]


@pytest.fixture
def start_gateway(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Start `greenpower realtime`, and wait until it answers."""
    with ExitStack() as stack:

        def go(using: Settings = settings) -> Command:
            command = stack.enter_context(Command(using, "realtime", folder=tmp_path))
            wait_until(lambda: answers(command), 60)
            return command

        yield go


def answers(command: Command) -> bool:
    """Whether a gateway is healthy."""
    assert command.process.poll() is None, command.log.read_text()
    with suppress(httpx.HTTPError):
        place = f"{command.settings.api_host}:{command.settings.realtime_port}"
        return httpx.get(f"http://{place}/health", timeout=10).status_code == 200
    return False


@pytest.fixture
def gateway(start_gateway: Start) -> Command:
    """A gateway on the session's Valkey."""
    return start_gateway()


@pytest.fixture
def browser(settings: Settings) -> Iterator[Open]:
    """Open a client; all are closed after the test."""
    with ExitStack() as stack:

        def go(token: str | None = None, *, port: int | None = None, **options: Any) -> Browser:
            found = Browser(port or settings.realtime_port, token, **options)
            stack.callback(found.close)
            return found.connect()

        yield go


@pytest.fixture
def store(redis_url: str) -> Iterator[redis.Redis]:
    """The session's Valkey, as a client."""
    with redis.Redis.from_url(redis_url) as client:
        yield client
