"""The feed of changes: a reader beside slow writers ends with a copy of what is there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import pytest
from bson import ObjectId
from pymongo import MongoClient

from greenpower.mongo.readings.late import STAMP_AGAIN, is_late
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, PATH, Meters, make_meters
from tests.api.telemetry.frozen import DEVICE as FROZEN
from tests.process import environment
from tests.wait import wait_until

URL = PATH + "changes/"
HORIZON = 1
# A writer holds what it has stamped for as long as that.
SLOWEST = 0.8
WRITERS, SECONDS = 4, 4
TIER = "today_" + METER.collection
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Meters]:
    """Meters whose changes are shown after `HORIZON` seconds."""
    home = tmp_path_factory.mktemp("feed")
    app, meters = make_meters(home, mongod.uri, "test_feed", changes_horizon_seconds=HORIZON, mongo_today_ttl_seconds=0)
    yield meters
    meters.database.client.drop_database(meters.settings.mongo_db_name)
    close_app(app)


class Reader:
    """Keeps a copy, by nothing but what the feed says."""

    def __init__(self, meters: Meters, **parameters: Any) -> None:
        self.meters = meters
        self.parameters = parameters
        self.copy: dict[str, Any] = {}
        self.after: str | None = None
        self.rows = 0

    def go_on(self) -> dict[str, Any]:
        """Read all that the feed shows now; the copy as it is then."""
        while True:
            given = {"after": self.after} if self.after else {}
            body = self.meters.body(URL, page_size=70, **self.parameters, **given)
            self.after = body["after"]
            for row in body["results"]:
                self.copy[row["id"]] = row["payload"]
                self.rows += 1
            if body["next"] is None:
                return self.copy


def test_a_reader_beside_four_slow_writers_misses_nothing(feed: Meters) -> None:
    feed.clear()
    errors: list[BaseException] = []
    enough = threading.Event()
    end = time.monotonic() + SECONDS

    def write(number: int) -> None:
        chance = random.Random(number)
        try:
            with MongoClient[dict[str, Any]](feed.settings.need("MONGO_DB_URI")) as client:
                rows = client[feed.settings.mongo_db_name][METER.collection]
                mine: list[ObjectId] = []
                while not enough.is_set():
                    # As ingest does: stamped, held up on the way, stored; later a late packet adds to some.
                    stamp = datetime.now(UTC)
                    time.sleep(chance.choice((0, 0.01, 0.05, SLOWEST) if chance.random() < 0.1 else (0.002, 0.01)))
                    if mine and chance.random() < 0.3:
                        written = [chance.choice(mine)]
                        change = {"$set": {"payload.volts": chance.random(), "updated_at": stamp}}
                        rows.update_one({"_id": written[0]}, change)
                    else:
                        places = range(len(mine), len(mine) + chance.randrange(1, 9))
                        batch = [_row(f"W{number}", place, stamp) for place in places]
                        rows.insert_many(batch, ordered=False)
                        written = [row["_id"] for row in batch]
                        mine += written
                    if is_late(stamp, timedelta(seconds=SLOWEST)):  # the machine stood still
                        rows.update_many({"_id": {"$in": written}}, STAMP_AGAIN)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    reader = Reader(feed)
    for thread in threads:
        thread.start()
    # Until it has read much, and some before they were written again.
    while not errors and (time.monotonic() < end or not reader.rows > len(reader.copy) > 500):
        reader.go_on()
        time.sleep(0.05)
    enough.set()
    for thread in threads:
        thread.join()
    assert not errors
    _settle(feed, reader)
    source = {str(row["_id"]): row["payload"] for row in feed.database[METER.collection].find()}
    assert reader.copy == source


def test_recomputed_buckets_appear_again(feed: Meters) -> None:
    feed.clear()
    readings = [(START + timedelta(seconds=20 * n), {"volts": 1.0 * n, "energy": n / 8}) for n in range(60)]
    feed.roll_up("M1", readings, START + timedelta(hours=1), ["today_"])
    reader = Reader(feed, resolution="1m")
    reader.go_on()
    assert len(reader.copy) == 20
    again = {"$set": {"payload.volts": -1.0, "updated_at": datetime.now(UTC)}}
    feed.database[TIER].update_one({"timestamp": START + timedelta(minutes=3)}, again)
    reader.go_on()
    assert -1.0 not in [payload["volts"] for payload in reader.copy.values()]
    _settle(feed, reader)
    assert sorted(payload["volts"] for payload in reader.copy.values())[0] == -1.0 and len(reader.copy) == 20


@pytest.mark.parametrize("writer", ["readings", "replay", "bucket"])
def test_a_writer_frozen_for_longer_than_the_horizon_is_not_missed(feed: Meters, writer: str) -> None:
    """Stopped between stamping and writing, it wakes when readers have long passed its stamp."""
    feed.clear()
    source = feed.database[METER.collection]
    received = datetime.now(UTC)
    there = [{**_row(FROZEN, number, received), "payload": {"amps": 1.0 * number}} for number in range(2)]
    source.insert_many(there)
    feed.database["wanted"].create_index([("device_id", 1), ("timestamp", 1)], unique=True)
    feed.database["wanted"].insert_many([_row(FROZEN, number, received) for number in range(4)])
    rows, parameters = (feed.database[TIER], {"resolution": "1m"}) if writer == "bucket" else (source, {})
    reader = Reader(feed, **parameters)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.telemetry.frozen", writer], env=environment(feed.settings)
    )
    try:
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, 30)
        # Another's row, younger than the stamp of the one that is frozen, is shown: the reader has passed it.
        rows.insert_one({**_row("OTHER", 7200, datetime.now(UTC)), "final": True})
        wait_until(lambda: {"volts": 7200.0} in reader.go_on().values(), 10)
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    _settle(feed, reader)
    assert len(reader.copy) > 1 and reader.copy == {str(row["_id"]): row["payload"] for row in rows.find()}


def test_many_rows_of_one_moment_are_paged_through(feed: Meters) -> None:
    feed.clear()
    rows = [_row("M1", number, START) for number in range(500)]
    random.Random(1).shuffle(rows)
    feed.database[METER.collection].insert_many(rows)
    reader = Reader(feed)
    reader.go_on()
    assert reader.copy.keys() == {str(row["_id"]) for row in rows} and reader.rows == 500
    assert feed.body(URL, after=reader.after) | {"until": ""} == {
        "after": reader.after,
        "next": None,
        "until": "",
        "resolution": "raw",
        "results": [],
    }


@pytest.mark.parametrize("after", ["x", "W10", "bnVsbA", "WyJyYXciLDEsIngiXQ", "A" * 401, "WzFlOTk5XQ"])
def test_a_position_that_no_answer_gave_is_refused(feed: Meters, after: str) -> None:
    response = feed.get(URL, after=after)
    assert response.status_code == 422 and list(response.get_json()["errors"]["query"]) == ["after"]


def test_a_position_belongs_to_a_resolution(feed: Meters) -> None:
    feed.clear()
    feed.database[METER.collection].insert_one(_row("M1", 1, START))
    after = feed.body(URL)["after"]
    assert feed.get(URL, after=after, resolution="1m").status_code == 422


def _settle(meters: Meters, reader: Reader) -> None:
    """Read until the feed has come past now."""
    done = datetime.now(UTC)
    while True:
        until = datetime.fromisoformat(meters.body(URL, **reader.parameters, after=reader.after)["until"])
        reader.go_on()
        if until > done:
            return
        time.sleep(0.1)


def _row(device: str, number: int, stamp: datetime) -> dict[str, Any]:
    return {
        "_id": ObjectId(),
        "device_id": device,
        "topic": "METER",
        "timestamp": START + timedelta(seconds=number),
        "received_at": stamp,
        "updated_at": stamp,
        "payload": {"volts": float(number)},
        "complete": True,
    }
