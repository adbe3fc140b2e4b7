"""The shipped nginx.conf in a real nginx, before the real API and two real gateways."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from greenpower.commands.init import init_sql
from greenpower.config import Settings
from greenpower.embedded.binary import fetch, from_path, library_path
from greenpower.embedded.port import free_port
from tests.live.conftest import Browser, answers, make_reading, tell
from tests.process import Command
from tests.wait import wait_until

CONFIGURATION = Path(__file__).parents[2] / "docker/nginx/nginx.conf"
PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def nginx() -> tuple[str, dict[str, str]]:
    """The program, from PATH or unpacked from its Debian package, and its environment. Never a system service."""
    if found := from_path("nginx"):
        return str(found), {}
    root = fetch("nginx", "nginx")
    return str(root / "usr/sbin/nginx"), {"LD_LIBRARY_PATH": library_path(root)}


@pytest.fixture
def front(
    nginx: tuple[str, dict[str, str]], settings: Settings, tmp_path: Path
) -> Iterator[tuple[int, Command, list[Command]]]:
    """Port of nginx, the API and two gateways behind it."""
    program, environment = nginx
    port = free_port()
    behind = settings.model_copy(update={"api_trusted_proxies": 1, "admin_password": SecretStr(PASSWORD)})
    init_sql(behind)
    with ExitStack() as stack:
        api = stack.enter_context(Command(behind, "api", folder=tmp_path))
        gateways = []
        for _ in range(2):
            using = behind.model_copy(update={"realtime_port": free_port()})
            gateways.append(stack.enter_context(Command(using, "realtime", folder=tmp_path)))
        for gateway in gateways:
            wait_until(lambda gateway=gateway: answers(gateway), 30)  # type: ignore[misc]
        places = "".join(f"server 127.0.0.1:{gateway.settings.realtime_port}; " for gateway in gateways)
        text = CONFIGURATION.read_text("utf-8")
        for shipped, here in (
            ("server backend:8000;", f"server 127.0.0.1:{behind.api_port};"),
            ("server realtime:8001;", places),
            ("listen 8080;", f"listen 127.0.0.1:{port};"),
            ("pid /tmp/nginx.pid;", f"pid {tmp_path}/nginx.pid; daemon off; master_process off;"),
            ("/tmp/nginx-", f"{tmp_path}/nginx-"),
            ("worker_processes auto;", "worker_processes 1;"),
            ("worker_connections 16384;", "worker_connections 512;"),
        ):
            assert shipped in text, shipped
            text = text.replace(shipped, here)
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(text)
        command = [program, "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration)]
        tried = subprocess.run([*command, "-t"], env=environment, capture_output=True, text=True)
        assert tried.returncode == 0, tried.stderr
        log = stack.enter_context((tmp_path / "nginx.log").open("wb"))
        process = subprocess.Popen(command, env=environment, stderr=log)
        try:
            wait_until(lambda: _status(port, "/api/ready/") == 200, 30)
            yield port, api, gateways
        finally:
            process.terminate()
            process.wait(20)


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.slow
def test_one_address_for_page_api_and_live_values(
    front: tuple[int, Command, list[Command]], settings: Settings, redis_url: str
) -> None:
    port, _, gateways = front
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, timeout=20) as client:
        page = client.get("/")
        assert page.status_code == 200 and "Green Power" in page.text
        assert client.get("/dashboard/config.json").json()["realtime_port"] is None
        login = client.post("/api/users/token/", json={"username": "admin", "password": PASSWORD})
        assert login.status_code == 200
        assert len(login.headers.get_list("X-Request-ID")) == 1
        token = login.json()["access"]
        listed = client.get(
            "/api/telemetry/rt-data/", params={"page_size": 1}, headers={"Authorization": f"Bearer {token}"}
        )
        assert listed.status_code == 200 and listed.json()["results"] == []
        assert client.get("/api/telemetry/rt-data/").status_code == 401
        # What a caller says of himself is not believed.
        assert client.get("/api/nothing/", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 404

    tell(redis_url, make_reading("D1", 0))
    for polling in (False, True):
        clients = [Browser(port, token, polling=polling).connect() for _ in range(3)]
        try:
            for browser in clients:
                assert browser.subscribe("*")["ok"]
                assert browser.next("snapshot")
            # By the time it is sent, each of them has polled many times: a poll that went to the other process ends it.
            tell(redis_url, make_reading("D1", 5 if polling else 3, ua=231.0))
            for browser in clients:
                [reading] = browser.next("reading")
                assert reading["payload"] == {"ua": 231.0}
        finally:
            for browser in clients:
                browser.close()
    counted = [httpx.get(f"http://127.0.0.1:{item.settings.realtime_port}/metrics").text for item in gateways]
    assert sum("greenpower_realtime_sent_total" in text for text in counted) == 2


@pytest.mark.slow
def test_a_gateway_that_died_is_passed_over(
    front: tuple[int, Command, list[Command]], settings: Settings, redis_url: str
) -> None:
    port, _, gateways = front
    token = httpx.post(
        f"http://127.0.0.1:{port}/api/users/token/", json={"username": "admin", "password": PASSWORD}, timeout=20
    ).json()["access"]
    tell(redis_url, make_reading("D1", 0))
    gateways[0].kill()
    client = Browser(port, token)
    try:
        client.connect()
        assert client.subscribe("*")["ok"] and client.next("snapshot")
    finally:
        client.close()
