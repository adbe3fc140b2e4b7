"""`greenpower api` as a process, seen from outside."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from greenpower.api.http.server import THREADS_PER_WORKER
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.stack import Mongod
from tests.command import run_cli
from tests.process import Command, freeze
from tests.wait import wait_until


def url(settings: Settings, path: str) -> str:
    return f"http://127.0.0.1:{settings.api_port}{path}"


def wait_ready(command: Command) -> None:
    def ready() -> bool:
        assert command.process.poll() is None, command.log.read_text()
        try:
            return httpx.get(url(command.settings, "/api/ready/"), timeout=60).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(ready, 30)


def test_it_serves_from_several_processes_and_stops_when_told(settings: Settings, tmp_path: Path) -> None:
    init_sql(settings)
    with Command(settings, "api", folder=tmp_path) as command:
        wait_ready(command)
        with httpx.Client(base_url=url(settings, ""), timeout=60) as client:
            login = {"username": "admin", "password": "correct horse"}
            tokens = client.post("/api/users/token/", json=login).json()
            headers = {"Authorization": f"Bearer {tokens['access']}"}
            for _ in range(10):
                body = client.get("/api/telemetry/rt-data/?page_size=5", headers=headers).json()
                assert body == {"count": 0, "next": None, "previous": None, "resolution": "raw", "results": []}
            assert client.get("/nowhere/").json()["code"] == 404
        # Whatever process answers, it tells what all of them have counted.
        told = 'greenpower_api_requests_total{method="GET",route="/api/telemetry/rt-data/",status="2xx"} 10.0'
        for _ in range(4):
            assert told in httpx.get(url(settings, "/metrics"), timeout=60).text.splitlines()
        assert command.stop() == 0
    log = command.log.read_text()
    assert (
        '127.0.0.1 admin "GET /api/telemetry/rt-data/?page_size=5 HTTP/1.1" 200' in log
        and log.count("Booting worker") == 2
    )
    assert tokens["access"] not in log and "correct horse" not in log and "Traceback" not in log


def test_the_answer_under_way_is_still_given_when_it_is_told_to_stop(settings: Settings, tmp_path: Path) -> None:
    with Mongod(tmp_path / "mongod") as mongod:
        settings = settings.model_copy(update={"mongo_db_uri": SecretStr(mongod.uri), "api_workers": 1})
        init_sql(settings)
        answers: list[int] = []
        with Command(settings, "api", folder=tmp_path) as command:
            wait_ready(command)
            login = {"username": "admin", "password": "correct horse"}
            tokens = httpx.post(url(settings, "/api/users/token/"), json=login, timeout=60).json()
            headers = {"Authorization": f"Bearer {tokens['access']}"}

            def ask() -> None:
                answers.append(
                    httpx.get(url(settings, "/api/telemetry/rt-data/"), headers=headers, timeout=60).status_code
                )

            freeze(mongod.pid)
            asking = threading.Thread(target=ask)
            asking.start()
            try:
                wait_until(lambda: accepted(settings.api_port))
                command.process.terminate()
                assert command.process.wait(60) == 0
            finally:
                os.kill(mongod.pid, signal.SIGCONT)
                asking.join()
        assert answers == [503]


def test_connections_that_stay_open_leave_threads_for_others(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"api_workers": 1})
    init_sql(settings)
    with Command(settings, "api", folder=tmp_path) as command, ExitStack() as stack:
        wait_ready(command)
        clients = [
            stack.enter_context(httpx.Client(base_url=url(settings, ""), timeout=60))
            for _ in range(3 * THREADS_PER_WORKER)
        ]
        for _ in range(2):
            for client in clients:
                # None is closed meanwhile, and none that only stays open keeps a thread.
                assert client.get("/api/data-types/").status_code == 401
        # Two requests in one packet: the second is not waited for.
        with socket.create_connection(("127.0.0.1", settings.api_port), timeout=60) as pipe:
            pipe.sendall(2 * b"GET /api/data-types/ HTTP/1.1\r\nHost: here\r\n\r\n")
            data = b""
            while data.count(b'"errors"') < 2:
                part = pipe.recv(4096)
                assert part, data
                data += part


def accepted(port: int) -> bool:
    """Whether a process serves a connection to a port."""
    return any(
        item.status == psutil.CONN_ESTABLISHED and item.pid is not None and item.laddr[1] == port
        for item in psutil.net_connections("tcp")
        if item.laddr
    )


STRONG: dict[str, Any] = {
    "environment": "prod",
    "secret_key": SecretStr("b41f0c97d25e83a6f7195c0e2d84ab36"),
    "jwt_signing_key": SecretStr("6ad20f91c7e4583b0f9d21b7e5c8a346"),
}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"mongo_db_uri": SecretStr("")}, "MONGO_DB_URI"),
        ({"jwt_signing_key": SecretStr("")}, "JWT_SIGNING_KEY"),
        ({**STRONG, "secret_key": SecretStr("change-me")}, "SECRET_KEY"),
        ({**STRONG, "cors_allowed_origins": "*"}, "CORS_ALLOWED_ORIGINS"),
        ({"database_url": SecretStr("nonsense://")}, "DATABASE_URL"),
        ({"api_port": "taken"}, "127.0.0.1"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    tmp_path: Path,
    changes: dict[str, Any],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        if changes.get("api_port") == "taken":
            changes = {"api_port": taken.getsockname()[1]}
        settings = Settings(
            _env_file=None,  # type: ignore[call-arg]
            greenpower_home=tmp_path,
            secret_key=SecretStr("s" * 40),
            jwt_signing_key=SecretStr("j" * 40),
            mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
        ).model_copy(update=changes)
        assert run_cli(monkeypatch, tmp_path, "api", settings=settings) == 2
    told = capsys.readouterr().err
    assert told.startswith("greenpower: ") and line in told and told.count("\n") == 1
