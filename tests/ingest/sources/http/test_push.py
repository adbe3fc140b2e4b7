"""Frames pushed over HTTP to `greenpower ingest --http`: what 200 means, what a key may, and what costs whom."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.ingest.sources.http.access import MAX_WRONG_KEYS_PER_MINUTE
from greenpower.mongo.devices.push_keys import revoke_push_key, split_push_key
from greenpower.stack import Mongod
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document, frame
from tests.ingest.sources.http.pusher import Pusher, make_key
from tests.process import Command
from tests.wait import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
Senders = Callable[[str], Pusher]
STATION = {"pm1_0(ug/m3)": 31, "hum(%)": 61.4}


def pushing(settings: Settings, **values: object) -> Settings:
    """Settings with a port for pushes."""
    return Settings.model_validate({**settings.model_dump(), "push_port": free_port(), **values})


@pytest.fixture
def using(settings: Settings) -> Settings:
    return pushing(settings)


@pytest.fixture
def ingest(using: Settings, tmp_path: Path) -> Iterator[Command]:
    with Command(using, "ingest", "--http", folder=tmp_path) as command:
        yield command.wait_healthy().wait_listening(using.push_port)


@pytest.fixture
def pusher(ingest: Command, using: Settings, db: Database[Document]) -> Iterator[Pusher]:
    with Pusher(using.push_port, make_key(db)) as pusher:
        yield pusher


@pytest.fixture
def sender(using: Settings) -> Iterator[Senders]:
    """Makes senders with a key."""
    with ExitStack() as stack:
        yield lambda key: stack.enter_context(Pusher(using.push_port, key))


def counts(answer: httpx.Response) -> tuple[int, int, int, int]:
    body = answer.json()
    return answer.status_code, body["stored"], body["duplicate"], body["rejected"]


def test_200_means_stored(pusher: Pusher, db: Database[Document]) -> None:
    assert counts(pusher.push("rt", frame(time=NOW))) == (200, 1, 0, 0)
    stored = db.grid_rt_data.find_one({"timestamp": NOW})
    assert stored is not None and stored["topic"] == "http/rt"
    assert counts(pusher.push("rt", frame(time=NOW))) == (200, 0, 1, 0)
    events = list(db.telemetry_events.find({}, sort=[("received_at", 1)]))
    assert [event["outcome"] for event in events] == ["stored", "duplicate"]
    key = db.push_keys.find_one({})
    assert key is not None and {event["key"] for event in events} == {key["_id"]} and key["last_used_at"]


def test_a_bad_line_costs_itself(pusher: Pusher, db: Database[Document]) -> None:
    times = [NOW - timedelta(seconds=step) for step in range(20)]
    good = [frame(time=time) for time in times]
    long = '{"id": "' + "x" * 300_000 + '"}'
    answer = pusher.lines("rt", [*good[:10], "{", *good[10:], {"id": "D", "ua": 1, "time": "x"}, long])
    assert counts(answer) == (200, 20, 0, 3)
    shown = answer.json()["rejections"]
    assert [item["line"] for item in shown] == [11, 22, 23]
    assert [item["reason"] for item in shown][::2] == ["not-json", "too-large"]
    assert {reading["timestamp"] for reading in db.grid_rt_data.find()} == {*times}
    assert db.telemetry_events.count_documents({"outcome": "rejected"}) == 3


def test_what_is_refused(pusher: Pusher, using: Settings, db: Database[Document]) -> None:
    assert pusher.push("nothing", {}).status_code == 404
    assert pusher.client.get("/other").status_code == 404
    assert pusher.client.delete("/api/ingest/rt/").status_code == 405
    assert pusher.push("rt", b"").status_code == 422
    refused = pusher.push("rt", {"id": "D"})
    assert refused.status_code == 422 and refused.json()["rejections"][0]["line"] == 1
    assert refused.json()["code"] == 422
    assert pusher.push("rt", b"x" * (using.max_frame_bytes + 1)).status_code == 413
    assert pusher.push("rt", b"{}", **{"Content-Encoding": "gzip"}).status_code == 415
    assert pusher.push("rt", frame(time=NOW)).status_code == 200
    assert db.grid_rt_data.count_documents({}) == 1


def test_what_is_too_long_is_answered_while_it_is_still_sent(pusher: Pusher, using: Settings) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(using.push_max_bytes // 65_536 + 8):
            yield b" " * 65_535 + b"\n"

    headers = {"Content-Type": "application/x-ndjson"}
    assert pusher.client.post("/api/ingest/rt/", content=endless(), headers=headers).status_code == 413


def test_keys(ingest: Command, using: Settings, sender: Senders, db: Database[Document]) -> None:
    expired = make_key(db, expires_at=NOW - timedelta(seconds=1))
    good = make_key(db)
    for key in ("", "gp_x", expired, good[:-1] + ("0" if good[-1] != "0" else "1"), good.replace("gpush", "gp")):
        answer = sender(key).push("rt", frame(time=NOW))
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    port = using.push_port
    assert sender("").push("rt", frame(time=NOW), **{"X-API-Key": good}).status_code == 200
    basic = httpx.post(f"http://127.0.0.1:{port}/api/ingest/rt/", json=frame(time=NOW), auth=("device", good))
    assert basic.status_code == 200
    assert httpx.post(f"http://127.0.0.1:{port}/api/ingest/rt/?key={good}", json=frame(time=NOW)).status_code == 200
    assert sender(make_key(db, claims=["environment"])).push("rt", frame(time=NOW)).status_code == 403
    assert db.telemetry_events.count_documents({}) == 3

    last = sender(good)
    parts = split_push_key(good)
    assert parts is not None and revoke_push_key(db.push_keys, parts[0], "test", datetime.now(UTC))
    wait_until(lambda: last.push("rt", frame(time=NOW)).status_code == 401)


def test_a_key_for_devices(ingest: Command, sender: Senders, db: Database[Document]) -> None:
    mine = sender(make_key(db, devices=["A", "B"]))
    answer = mine.lines("rt", [frame("A", NOW), frame("C", NOW), frame("B", NOW)])
    assert counts(answer) == (200, 2, 0, 1)
    assert answer.json()["rejections"][0]["reason"] == "foreign-device"
    assert set(db.grid_rt_data.distinct("device_id")) == {"A", "B"}
    event = db.telemetry_events.find_one({"reason": "foreign-device"})
    assert event is not None and "device_id" not in event
    # Frames that name no device are of the only one that the key is for.
    assert mine.push("environment", STATION).status_code == 422
    assert sender(make_key(db, devices=["ENV"])).push("environment", STATION).status_code == 200
    assert db.environment_data.distinct("device_id") == ["ENV"]


def test_sent_again(ingest: Command, sender: Senders, db: Database[Document]) -> None:
    """A frame without a time of its own is stored once where its sender says that it sent it before."""
    station = sender(make_key(db, devices=["ENV"]))
    assert counts(station.push("environment", STATION))[:2] == (200, 1)
    assert counts(station.push("environment", STATION, **{"X-Redelivered": "1"})) == (200, 0, 1, 0)
    assert db.environment_data.count_documents({}) == 1


def test_too_many_frames_with_one_key(settings: Settings, tmp_path: Path, db: Database[Document]) -> None:
    using = pushing(settings, push_frames_per_minute=2)
    with Command(using, "ingest", "--http", folder=tmp_path) as command, ExitStack() as stack:
        command.wait_healthy().wait_listening(using.push_port)
        greedy, other = (stack.enter_context(Pusher(using.push_port, make_key(db))) for _ in range(2))
        times = [NOW - timedelta(seconds=step) for step in range(10)]
        assert counts(greedy.lines("rt", [frame(time=time) for time in times])) == (200, 10, 0, 0)
        refused = greedy.push("rt", frame(time=NOW))
        assert refused.status_code == 429 and int(refused.headers["Retry-After"]) > 60
        assert other.push("rt", frame(time=NOW)).status_code == 200


def test_too_many_wrong_keys_from_one_address(ingest: Command, sender: Senders, db: Database[Document]) -> None:
    wrong, found = sender("wrong"), list[int]()
    while found.count(401) < 20 * MAX_WRONG_KEYS_PER_MINUTE and 429 not in found:
        found.append(wrong.push("rt", frame(time=NOW), **{"X-Forwarded-For": "192.0.2.1"}).status_code)
    assert len(found) > MAX_WRONG_KEYS_PER_MINUTE and set(found) == {401, 429}
    assert sender(make_key(db)).push("rt", frame(time=NOW)).status_code == 200


@pytest.mark.slow
def test_what_was_answered_is_there_after_a_kill(using: Settings, tmp_path: Path, db: Database[Document]) -> None:
    """Many senders push while the process is killed and started again and again. Each sends again what was not
    answered. In the end all is stored, once, and nothing that was answered with 200 was ever missing."""
    key, batches, size, senders = make_key(db), 12, 20, 4
    answered: list[list[datetime]] = []
    lock, turns, in_one_round = threading.Lock(), threading.Semaphore(0), 12

    def send(sender: int) -> None:
        with Pusher(using.push_port, key) as pusher:
            for batch in range(batches):
                first = sender * batches * size + batch * size
                times = [NOW - timedelta(seconds=first + step) for step in range(size)]
                turns.acquire()
                frames = [frame(f"S{sender}", time) for time in times]
                wait_until(partial(is_stored, pusher, frames), 120)
                with lock:
                    answered.append(times)

    def is_stored(pusher: Pusher, frames: list[Document]) -> bool:
        try:
            return pusher.lines("rt", frames).status_code == 200
        except httpx.HTTPError:
            return False

    def stored_of(some: list[list[datetime]]) -> int:
        wanted = {time for times in some for time in times}
        return len(wanted - {reading["timestamp"] for reading in db.grid_rt_data.find({}, {"timestamp": 1})})

    threads = [threading.Thread(target=send, args=(sender,), daemon=True) for sender in range(senders)]
    kills = 0
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with Command(using, "ingest", "--http", folder=tmp_path) as command:
            before = len(answered)
            turns.release(in_one_round)
            wait_until(
                lambda before=before: (  # type: ignore[misc]
                    len(answered) >= before + 8 or not any(thread.is_alive() for thread in threads)
                ),
                120,
            )
            command.kill()
            kills += 1
            with lock:
                so_far = list(answered)
            assert stored_of(so_far) == 0
    assert kills >= senders * batches // in_one_round and len(answered) == senders * batches
    assert db.grid_rt_data.count_documents({}) == senders * batches * size


def test_nothing_is_answered_while_mongodb_is_away(settings: Settings, tmp_path: Path) -> None:
    with Mongod(tmp_path / "mongod") as mongod, MongoClient[Document](mongod.uri, tz_aware=True) as client:
        db = client[settings.mongo_db_name]
        key = make_key(db)
        using = pushing(settings, mongo_db_uri=mongod.uri, push_answer_seconds=1)
        with (
            Command(using, "ingest", "--http", folder=tmp_path) as command,
            Pusher(using.push_port, key) as pusher,
        ):
            command.wait_healthy().wait_listening(using.push_port)
            assert pusher.push("rt", frame(time=NOW)).status_code == 200
            mongod.pause()
            away = pusher.push("rt", frame(time=NOW - timedelta(seconds=1)))
            assert away.status_code == 503 and away.headers["Retry-After"]
            mongod.resume()
            wait_until(lambda: pusher.push("rt", frame(time=NOW - timedelta(seconds=1))).status_code == 200, 30)
            assert db.grid_rt_data.count_documents({}) == 2
            assert command.stop() == 0
