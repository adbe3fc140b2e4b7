"""Many who ask at once, while the rollups catch up: everybody gets the same right answer, or hears what to ask."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from greenpower.api.energy import consumption, consumption_cost
from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import INTERVALS, WATERMARKS, ensure_indexes
from tests.api.energy.meter import Meters
from tests.api.energy.test_consumption import DAY, QUARTER, URL, iso, rising
from tests.api.http.test_server import wait_ready
from tests.process import Command
from tests.rollups.world import run_all

PATH = "/api/telemetry/eny-now-data/consumption/"
ASKERS, DEVICES, DAYS = 8, 4, 35
STEP = 0.125


def reading(device: str, number: int, at: datetime) -> dict[str, Any]:
    return {
        "device_id": device, "topic": "MQTT_ENY_NOW", "timestamp": at, "received_at": at, "updated_at": at,
        "payload": {"zygsz": 1000 + number * STEP}, "complete": True,
    }  # fmt: skip


def test_eight_ask_a_server_while_a_backlog_is_rolled_up(settings: Settings, tmp_path: Path) -> None:
    """Five weeks of readings, of which no tier has anything yet. The questions are the page's, and years."""
    init_sql(settings)
    eny_now = next(datatype for datatype in get_registry() if datatype.name == "eny_now")
    begin = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) - DAYS * DAY
    steps = (datetime.now(UTC) - begin) // QUARTER
    with sync_client(settings) as client, Command(settings, "api", folder=tmp_path) as command:
        database = client[settings.mongo_db_name]
        ensure_indexes(database, [eny_now], settings)
        for device in range(DEVICES):
            documents = [reading(f"E{device}", number, begin + number * QUARTER) for number in range(steps)]
            database[eny_now.collection].insert_many(documents)
        wait_ready(command)
        base = f"http://127.0.0.1:{settings.api_port}"
        login = {"username": "admin", "password": "correct horse"}
        token = httpx.post(f"{base}/api/users/token/", json=login, timeout=60).json()["access"]
        rolled = Event()
        questions: list[dict[str, Any]] = [
            {"bucket": "year"}, {"bucket": "month"}, {"bucket": "year", "device_id": "E1"},
            {"bucket": "day", "start_time": iso(begin)}, {"bucket": "week"},
        ]  # fmt: skip

        def ask(asker: int) -> list[tuple[int, float, dict[str, Any], float]]:
            found = []
            with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
                number, last = asker, False
                while not last:
                    last = rolled.is_set()  # once more after everything is rolled up
                    query = questions[number % len(questions)]
                    began = time.monotonic()
                    answer = http.get(f"{base}{PATH}", params=query)
                    found.append((answer.status_code, time.monotonic() - began, query, answer.json().get("total")))
                    number += 1
            return found

        with ThreadPoolExecutor(ASKERS) as pool:
            asked = [pool.submit(ask, number) for number in range(ASKERS)]
            try:
                run_all(database, [eny_now], settings)
            finally:
                rolled.set()
            answers = [answer for future in asked for answer in future.result(120)]
    whole = (steps - 1) * STEP
    assert len(answers) >= 2 * ASKERS and {status for status, *_ in answers} == {200}
    for _, _, query, total in answers:
        assert total == (whole if "device_id" in query else DEVICES * whole), query
    print(f"{len(answers)} answers, the slowest in {max(seconds for _, seconds, *_ in answers):.2f} s")


def test_a_question_beyond_what_is_made_is_told_up_to_when_it_can_ask(
    meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - 10 * DAY
    meters.store("M1", rising(begin, QUARTER, [number / 8 for number in range(9 * 96)]))
    meters.run_rollups(begin + 4 * DAY)
    for module in (consumption_cost, consumption):
        monkeypatch.setattr(module, "MAX_RECENT_READINGS", 96)
    asked = {"tz": "UTC", "bucket": "day", "start_time": iso(begin)}
    refused = meters.get(URL, **asked, end_time=iso(meters.now))
    assert refused.status_code == 422 and list(refused.get_json()["errors"]["query"]) == ["end_time"]
    progress = meters.database[WATERMARKS].find_one({"_id": f"meter/{INTERVALS}"})
    assert progress is not None
    body = meters.body(URL, **asked, end_time=iso(progress["watermark"]))
    assert [row["energy"] for row in body["results"]][:3] == [95 / 8, 12, 12]
    meters.run_rollups()
    assert meters.body(URL, **asked, end_time=iso(meters.now))["total"] == (9 * 96 - 1) / 8
    assert meters.get(URL, tz="UTC", bucket="year").status_code == 200


@pytest.mark.parametrize(("bucket", "days"), [("hour", 41), ("day", 950)])
def test_a_question_for_too_many_rows_is_refused(meters: Meters, bucket: str, days: int) -> None:
    start = iso(meters.now - timedelta(days=days))
    meters.store("M1", rising(meters.now - DAY, QUARTER, [0, 1, 2]))
    names = [f"M{number}" for number in range(100)]
    for name in names:
        meters.store(name, [(meters.now, {"volts": 1.0})])
    refused = meters.get(URL, bucket=bucket, start_time=start, device_id=",".join(names))
    assert refused.status_code == 422 and list(refused.get_json()["errors"]["query"]) == ["device_id"]
    assert meters.get(URL, bucket=bucket, start_time=start, device_id=",".join(names[:40])).status_code == 200
