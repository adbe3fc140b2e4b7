"""Clients that take their answers slowly or not at all: others are answered, and their exports come whole."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pymongo.database import Database

from greenpower.config import Settings
from tests.hostile.conftest import Run, log_in
from tests.hostile.crowd import Crowd
from tests.hostile.others import Others
from tests.wait import wait_until

pytestmark = pytest.mark.slow
CROWD = 64
ROWS = 20_000
ANSWER_SECONDS = 6
EXPORT = "/api/telemetry/rt-data/export/"
SCHEMA = "/api/schema/"


def ask(path: str, token: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


@pytest.fixture
def token(run: Run, base: str, db: Database[dict[str, Any]]) -> Iterator[str]:
    stamp = datetime.now(UTC) - timedelta(days=1)
    db.grid_rt_data.insert_many(
        [
            {
                "device_id": f"M{number % 10}",
                "topic": "T",
                "timestamp": stamp + timedelta(seconds=number),
                "received_at": stamp,
                "updated_at": stamp,
                "payload": {f"f{field}": number / (field + 1) for field in range(30)},
                "complete": True,
            }
            for number in range(ROWS)
        ]
    )
    run("api", api_rate_limit="", api_answer_seconds=ANSWER_SECONDS)
    yield log_in(base)


def test_exports_that_nobody_takes(token: str, settings: Settings, base: str) -> None:
    """They are ended, and their places are there for others."""
    headers = {"Authorization": f"Bearer {token}"}
    # A byte now and then, since a crowd that reads nothing notices only by it that it was shut out.
    readers = Crowd(settings.api_port, CROWD, first=ask(EXPORT, token), drip=b"X", reads=False, receive_buffer=4096)
    with Others(base) as others, readers:
        wait_until(lambda: not readers.open, 60)
        others.check()

    def whole() -> bool:
        with httpx.stream("GET", base + EXPORT, headers=headers, timeout=60) as response:
            return response.status_code == 200 and sum(1 for _ in response.iter_lines()) == ROWS

    wait_until(whole, 30)


def test_whole_answers_that_nobody_takes(token: str, settings: Settings, base: str) -> None:
    assert httpx.get(base + SCHEMA, headers={"Authorization": f"Bearer {token}"}, timeout=30).status_code == 200
    readers = Crowd(settings.api_port, CROWD, first=ask(SCHEMA, token), reads=False, receive_buffer=4096)
    with Others(base) as others, readers:
        others.go_on(ANSWER_SECONDS + 4)
        others.check()
