"""The broker's sessions are in its file before the stack is ready: killed then, it keeps what comes for ingest."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from greenpower.stack import Mosquitto
from greenpower.stack import broker_save as module
from greenpower.stack.broker_file import subscribers
from greenpower.stack.broker_save import sessions_saved
from tests.stack.test_mosquitto import listening, publish, subscribe
from tests.wait import wait_until


def test_a_session_that_was_just_made_outlives_a_kill(tmp_path: Path) -> None:
    with Mosquitto(tmp_path) as broker:
        subscribe(broker)
        assert subscribers(broker.file) == set()
        assert asyncio.run(sessions_saved(broker, lambda: broker.pid, {"listener"}))
        assert subscribers(broker.file) == {"listener"}
        broker.kill()
        broker.start()
        publish(broker, 3, qos=1)
        with listening(broker) as listener:
            assert listener.had_session
            wait_until(lambda: len(listener.received) == 3)


def test_a_session_that_does_not_come_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GIVE_UP_SECONDS", 0.5)
    with Mosquitto(tmp_path) as broker:
        assert not asyncio.run(sessions_saved(broker, lambda: broker.pid, {"listener"}))
        assert not asyncio.run(sessions_saved(broker, lambda: None, {"listener"}))


def test_what_is_no_file_of_the_broker_has_nobody(tmp_path: Path) -> None:
    assert subscribers(tmp_path / "none") == set()
    (tmp_path / "odd").write_bytes(b"\0" * 30)
    assert subscribers(tmp_path / "odd") == set()
