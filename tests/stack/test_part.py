"""The embedded parts: start, answer, stop, and find their data again after every kind of end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from pymongo import MongoClient

from greenpower.config import ConfigError, Settings
from greenpower.stack import Mongod, Mosquitto, Part, Valkey
from greenpower.stack.port import free_port, is_free
from tests.wait import wait_until

PARTS = [Mongod, Valkey, Mosquitto]


@pytest.mark.parametrize("make", PARTS)
def test_starts_answers_and_stops(make: Callable[[Path], Part], tmp_path: Path) -> None:
    with make(tmp_path) as part:
        assert part.answers()
        pid, port = part.pid, part.port
        listening = [c.laddr for c in psutil.Process(pid).net_connections("all") if c.status == psutil.CONN_LISTEN]
        assert {(address.ip, address.port) for address in listening} == {("127.0.0.1", port)}
    assert not psutil.pid_exists(pid)
    assert is_free(port)
    assert not part.alive
    part.stop()


@pytest.mark.parametrize("make", PARTS)
def test_a_paused_part_is_silent_and_still_stops(make: Callable[[Path], Part], tmp_path: Path) -> None:
    with make(tmp_path) as part:
        part.pause()
        assert not part.answers()
        part.resume()
        wait_until(part.answers)
        part.pause()


def test_mongod_keeps_what_it_journaled(tmp_path: Path) -> None:
    with Mongod(tmp_path) as part:
        with MongoClient[dict[str, Any]](part.uri, journal=True) as client:
            client.test.frames.insert_one({"_id": 1})
        part.kill()
        part.start()
        with MongoClient[dict[str, Any]](part.uri) as client:
            assert client.test.frames.count_documents({}) == 1


def test_valkey_answers_who_knows_its_password_which_is_kept(tmp_path: Path) -> None:
    with Valkey(tmp_path) as part:
        with redis.Redis(host=part.host, port=part.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert part.answers() and part.password not in " ".join(part.command())
    (file,) = part.written()
    assert file.stat().st_mode & 0o777 == 0o600
    assert Valkey(tmp_path, part.port).url == part.url
    # One that is cut off or no text is made anew: no data needs it.
    for broken in (b"requirepass abc", b"\xff\xfe", b""):
        file.write_bytes(broken)
        again = Valkey(tmp_path)
        assert again.password != part.password
        with again, redis.Redis.from_url(again.url) as client:
            assert client.ping()


def test_valkey_keeps_its_keys(tmp_path: Path) -> None:
    with Valkey(tmp_path) as part:
        with redis.Redis.from_url(part.url) as client:
            client.set("job", "1")
        part.kill()
        part.start()
        with redis.Redis.from_url(part.url) as client:
            assert client.get("job") == b"1"


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"^mosquitto .*\b{port}\b") as caught:
            Mosquitto(tmp_path, port).start()
    assert "\n" not in str(caught.value)


def test_settings_fixture_points_at_real_servers(settings: Settings) -> None:
    with MongoClient[dict[str, Any]](settings.need("MONGO_DB_URI")) as client:
        assert client.admin.command("ping")["ok"] == 1
    with redis.Redis.from_url(settings.need("REDIS_URL")) as connection:
        assert connection.ping()
    with socket.create_connection((settings.mqtt_broker, settings.mqtt_port), timeout=60):
        pass
