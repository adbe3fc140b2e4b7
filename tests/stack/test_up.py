"""`greenpower up` as its operator sees it: a process, its output, its exit code."""

from __future__ import annotations

import contextlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import psutil
import pytest
from dotenv import dotenv_values
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from greenpower.config import run_file
from greenpower.stack.home import locked
from greenpower.stack.ingest_pool import noted_ids
from greenpower.stack.port import LOOPBACK
from tests.stack.up import Up, running
from tests.wait import wait_until


def refused(home: Path, **settings: str) -> str:
    """The one line of an `up` that must not start."""
    with running(home, **settings) as up:
        assert up.process.wait(60) == 2
        up.end()
        assert len(up.lines) == 1, up.text
    assert not (home / "mongod").exists()
    return up.lines[0]


def test_a_home_in_use_is_one_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with locked(home):
        assert {f"GREENPOWER_HOME={home}", f"{os.getpid()}"} <= set(re.split(r"[ ()]+", refused(home)))


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"GREENPOWER_HOME={tmp_path / 'file'}" in refused(tmp_path / "file").split()


def test_a_misspelt_setting_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_PROT=1\n")
    (tmp_path / "file").touch()
    with running(tmp_path / "file") as up:
        assert up.process.wait(60) == 2
        up.end()
        [warning] = [line for line in up.lines if "API_PROT" in line]
        assert "API_PORT" in warning and len(up.lines) == 2


def test_a_taken_port_is_one_line(tmp_path: Path, broker: tuple[str, int]) -> None:
    assert "MQTT_PORT" in refused(tmp_path / "home", MQTT_PORT=str(broker[1]))


def frame(device: str) -> dict[str, Any]:
    stamp = datetime.now(UTC).astimezone(ZoneInfo("Asia/Dhaka"))
    return {"id": device, "ua": 229.097, "zyggl": 6.6905, "time": f"{stamp:%Y%m%d%H%M%S}", "isend": "1"}


def command_lines(up: Up) -> dict[psutil.Process, str]:
    """The arguments of the children that run, or their titles. One that has just ended is no child any more."""
    found = {}
    for child in psutil.Process(up.process.pid).children():
        with contextlib.suppress(psutil.Error):
            found[child] = " ".join(child.cmdline())
    return found


def children_with(up: Up, word: str) -> list[psutil.Process]:
    """The children that have a word among their arguments, or in their titles."""
    whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
    return [child for child, line in command_lines(up).items() if whole.search(line)]


def children_with_text(up: Up, text: str) -> list[psutil.Process]:
    """The children that have a text somewhere in their command lines."""
    return [child for child, line in command_lines(up).items() if text in line]


def open_to_others(home: Path) -> list[Path]:
    """What users other than its owner may read or look into."""
    return [path for path in (home, *home.rglob("*")) if not path.is_symlink() and path.lstat().st_mode & 0o077]


def publish(host: str, port: int, payload: bytes, times: int) -> None:
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"meter-{uuid4().hex[:8]}")
    client.connect(host, port)
    client.loop_start()
    for _ in range(times):
        client.publish("MQTT_RT_DATA", payload, qos=1).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


class Operator:
    """What is printed, used: login and a look at the readings."""

    def __init__(self, up: Up) -> None:
        ready = up.line("ready")
        login = re.match(r"login +(\S+) +password (\S+)", up.line("login"))
        mqtt = re.search(r"MQTT (\S+):(\d+)", ready)
        api = re.search(r"API (\S+)/ ", ready)
        assert login and mqtt and api
        self.broker = (mqtt[1], int(mqtt[2]))
        self.api = api[1]
        self.user, self.password = login[1], login[2]

    def readings(self, device: str) -> list[dict[str, Any]]:
        with httpx.Client(trust_env=False, timeout=60) as http:
            answer = http.post(
                f"{self.api}/users/token/", json={"username": self.user, "password": self.password}
            ).raise_for_status()
            found = http.get(
                f"{self.api}/telemetry/rt-data/",
                params={"device_id": device},
                headers={"Authorization": f"Bearer {answer.json()['access']}"},
            )
        if found.status_code == 422:  # a device that is not known yet
            return []
        results: list[dict[str, Any]] = found.raise_for_status().json()["results"]
        return results


def runs(process: psutil.Process) -> bool:
    """Whether a process goes on. One that ended is there until process 1 has taken note of it."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_whole_stack_from_a_frame_to_an_answer_and_again_after_a_restart(tmp_path: Path) -> None:
    home, device = tmp_path / "home", "33B1225950027"
    sent = frame(device)
    payload = httpx.Request("POST", "http://x", json=sent).content
    with running(home, "--no-simulator") as up:
        operator = Operator(up)
        first_password = operator.password
        children = psutil.Process(up.process.pid).children(recursive=True)
        assert len(children) >= 7
        publish(*operator.broker, payload, times=3)
        (reading,) = wait_until(lambda: operator.readings(device), 20)
        assert reading["payload"] == {"ua": 229.097, "zyggl": 6.6905}
        assert open_to_others(home) == []
        # The servers' password is in no command line: every user of the machine could read it there.
        redis = urlsplit(dotenv_values(run_file(home))["REDIS_URL"] or "")
        assert redis.password and not any(children_with_text(up, redis.password))
        assert "open to other users" not in up.text
        assert up.interrupt() == 0, up.text
        assert not run_file(home).exists()
        assert not [process for process in children if runs(process)]
    for path in (home, *home.rglob("*")):  # as an older release left it
        path.chmod(0o755 if path.is_dir() else 0o644)
    with running(home, "--no-simulator", "--ingest", "2") as up:
        operator = Operator(up)
        assert up.text.count("open to other users") == 1 and open_to_others(home) == []
        assert len(children_with(up, "ingest")) == 2
        for number in range(4):
            publish(*operator.broker, httpx.Request("POST", "http://x", json=frame(f"33B12259510{number}0")).content, 1)
        wait_until(lambda: all(operator.readings(f"33B12259510{number}0") for number in range(4)), 20)
        assert up.interrupt() == 0, up.text
    with running(home) as up:
        operator = Operator(up)
        assert operator.password == first_password
        assert operator.readings(device) == [reading]
        # The second ingest process is gone for good: its session is drained.
        wait_until(lambda: len(noted_ids(home)) == 1 and not children_with(up, "drain"), 30)
        # What the simulator sends arrives; and a child that is killed comes back without the others.
        wait_until(lambda: re.search(r"^simulate", up.text, re.MULTILINE))
        others = {
            name: children_with(up, name) for name in ("api", "greenpower.realtime", "worker", "scheduler", "simulate")
        }
        (ingest,) = children_with(up, "ingest")
        ingest.kill()
        publish(*operator.broker, httpx.Request("POST", "http://x", json=frame("33B1225950028")).content, times=1)
        wait_until(lambda: operator.readings("33B1225950028"), 20)
        assert all(others.values()) and children_with(up, "ingest") != [ingest]
        assert {name: children_with(up, name) for name in others} == others
        assert up.interrupt() == 0, up.text
    assert LOOPBACK in operator.broker
