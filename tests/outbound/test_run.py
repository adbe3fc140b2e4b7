"""Deliveries to real HTTP servers: at least once, in order, none left out, whatever the receiver or a kill does."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.outbound.positions import ask_for_test, asked_tests, claim_target, save_position
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.outbound import feeds, run
from greenpower.outbound.run import CLAIM_TIME, MAX_RETRY_AFTER, pause
from greenpower.stack import Mongod
from greenpower.stack.port import free_port
from tests.outbound.receiver import Receiver, receiving
from tests.outbound.world import RT, SECRET, T0, TIER, World, make_target, reading

DOCS = Path(__file__).parents[2] / "docs" / "outbound.md"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def client(mongod: Mongod) -> Iterator[MongoClient[Document]]:
    with MongoClient[Document](mongod.uri, tz_aware=True) as found:
        yield found
        found.drop_database("test_outbound_run")


@pytest.fixture
def world(client: MongoClient[Document], receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    receiver.clear()
    settings = Settings(_env_file=None, greenpower_home=tmp_path, mongo_db_name="test_outbound_run")  # type: ignore[call-arg]
    db = client["test_outbound_run"]
    for name in (RT, TIER, OUTBOUND_POSITIONS, "corrections"):
        db[name].delete_many({})
    monkeypatch.setattr(feeds, "BATCH_ROWS", 10)
    return World(db, settings)


def fill(world: World, count: int, first: int = 1, **more: Any) -> list[str]:
    """Readings, two written at each moment. Returns their ids in order."""
    rows = [reading(number, T0 + timedelta(seconds=number // 2), **more) for number in range(first, first + count)]
    world.db[RT].insert_many(rows)
    return [str(row["_id"]) for row in rows]


def ids(receiver: Receiver) -> list[str]:
    return [row["id"] for row in receiver.rows]


def test_a_backlog_comes_once_in_order_and_nothing_comes_again(world: World, receiver: Receiver) -> None:
    wanted = fill(world, 35)
    target = make_target(address=receiver.url)
    done = world.run([target])
    assert ids(receiver) == wanted and (done.deliveries, done.rows, done.failures) == (4, 35, 0)
    row = receiver.rows[0]
    assert row == {
        "id": wanted[0], "topic": "t", "device_id": "d1", "timestamp": "2026-11-01T08:00:01.000Z",
        "payload": {"zyggl": 1.0}, "updated_at": "2026-11-01T08:00:00.000Z",
    }  # fmt: skip
    assert world.run([target]).deliveries == 0
    # A late reading, and one that was written again, come with their new content.
    world.now += timedelta(hours=1)
    late = reading(100, T0 + timedelta(hours=1))
    world.db[RT].insert_one(late)
    world.db[RT].update_one(
        {"_id": reading(3, T0)["_id"]}, {"$set": {"updated_at": T0 + timedelta(hours=1, seconds=1), "payload.new": 1}}
    )
    assert world.run([target]).rows == 2
    assert ids(receiver)[35:] == [str(late["_id"]), wanted[2]] and receiver.rows[-1]["payload"]["new"] == 1
    found = world.status()
    assert (found["deliveries"], found["rows"], found["errors"], found["failures"]) == (5, 37, 0, 0)
    assert "claim" not in found


def test_rows_that_have_not_settled_wait(world: World, receiver: Receiver) -> None:
    world.db[RT].insert_one(reading(1, world.now - timedelta(seconds=10)))
    target = make_target(address=receiver.url)
    assert world.run([target]).rows == 0
    world.now += timedelta(seconds=world.settings.changes_horizon_seconds)
    assert world.run([target]).rows == 1


@pytest.mark.parametrize("mishap", [300, 302, 404, 500, "cut", "hang", "drip", "refused"])
def test_what_is_not_taken_comes_again(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, mishap: int | str
) -> None:
    wanted = fill(world, 25)
    target, other = make_target(address=receiver.url), make_target(2)
    if isinstance(mishap, int):
        receiver.status, receiver.headers = mishap, {"Location": receiver.url + "/elsewhere"}
    elif mishap == "refused":
        target.address = f"http://127.0.0.1:{free_port()}/"
    else:
        receiver.mishap = mishap
        if mishap != "cut":
            world.impatient = {receiver.url}
    with receiving() as well:
        other.address = well.url
        done = world.run([target, other])
        # One that fails ends its own turn only.
        assert (done.failures, done.rows) == (1, 25) and ids(well) == wanted
    assert all(headers["path"] == "/hook/t0ken" for headers, _ in receiver.got) and len(receiver.got) <= 1
    found = world.status()
    assert (found["failures"], found["errors"], found["feeds"]) == (1, 1, {})
    assert found["error"] and "t0ken" not in found["error"] and "127.0.0.1" not in found["error"]
    assert found["next_try"] == world.now + pause(0)
    # It is not tried before its time.
    tries = len(receiver.got)
    assert world.run([target]).next_at == found["next_try"] and len(receiver.got) == tries
    receiver.clear()
    world.now += pause(0)
    world.impatient = set()
    target.address = receiver.url
    assert world.run([target]).rows == 25 and ids(receiver) == wanted
    found = world.status()
    assert found["failures"] == 0 and "error" not in found and "next_try" not in found


def test_pauses_grow_to_a_limit_and_one_that_fails_comes_last(world: World, receiver: Receiver) -> None:
    assert [pause(failures).total_seconds() for failures in range(5)] == [5, 10, 20, 40, 80]
    assert pause(50) == pause(10**9) == MAX_RETRY_AFTER
    fill(world, 3)
    receiver.status = 500
    dead = make_target(1, address=receiver.url)
    for _ in range(3):
        world.run([dead])
        world.now = world.status()["next_try"]
    with receiving() as well:
        well.on_delivery = lambda: order.append("well")
        receiver.on_delivery = lambda: order.append("dead")
        order: list[str] = []
        world.run([dead, make_target(2, address=well.url)])
    assert order == ["well", "dead"]


def test_killed_between_delivery_and_saving_the_position_it_comes_twice(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = fill(world, 35)
    target = make_target(address=receiver.url)

    class Killed(BaseException):
        pass

    calls = iter(range(100))

    def save(*args: Any, **more: Any) -> bool:
        if next(calls) == 2:
            raise Killed
        return save_position(*args, **more)

    monkeypatch.setattr(run, "save_position", save)
    # A process that is killed gives nothing back.
    monkeypatch.setattr(run, "let_target_go", lambda *_: None)
    with pytest.raises(Killed):
        world.run([target])
    assert ids(receiver) == wanted[:30]
    monkeypatch.undo()
    monkeypatch.setattr(feeds, "BATCH_ROWS", 10)
    assert world.run([target]).rows == 0, "its claim is not over"
    world.now += CLAIM_TIME
    world.run([target])
    assert ids(receiver) == wanted[:30] + wanted[20:]
    deliveries = [headers["GreenPower-Delivery"] for headers, _ in receiver.got]
    assert deliveries[2] == deliveries[3] and len(set(deliveries)) == 4


def test_a_worker_that_has_lost_its_claim_saves_nothing(world: World, receiver: Receiver) -> None:
    wanted = fill(world, 35)
    target = make_target(address=receiver.url)

    def taken() -> None:
        late = world.now + CLAIM_TIME
        assert claim_target(world.positions, 1, "other", late, late + CLAIM_TIME) is not None
        receiver.on_delivery = lambda: None

    receiver.on_delivery = taken
    world.run([target])
    assert ids(receiver) == wanted[:10]
    assert world.status()["feeds"] == {} and world.status()["claim"] == "other"


def test_a_deleted_target_ends_and_is_not_made_again(world: World, receiver: Receiver) -> None:
    fill(world, 35)
    receiver.on_delivery = lambda: world.positions.delete_one({"_id": 1})
    world.run([make_target(address=receiver.url)])
    assert len(receiver.got) == 1 and world.positions.count_documents({}) == 0


def test_time_is_bounded_and_the_next_run_goes_on(world: World, receiver: Receiver) -> None:
    wanted = fill(world, 35)
    target = make_target(address=receiver.url)

    def pass_time() -> None:
        world.seconds += 10

    receiver.on_delivery = pass_time
    done = world.run([target, make_target(2, address=receiver.url)], end=15)
    assert done.more and len(receiver.got) == 2 and world.positions.count_documents({"_id": 2}) == 0
    world.seconds = 0
    world.run([target])
    world.run([target])
    assert ids(receiver) == wanted


def test_where_it_begins(world: World, receiver: Receiver) -> None:
    wanted = fill(world, 30)
    world.run([make_target(address=receiver.url, begin_at=T0 + timedelta(seconds=10))])
    assert ids(receiver) == wanted[19:]  # the twentieth was the first one written then
    receiver.clear()
    world.run([make_target(2, address=receiver.url, begin_at=world.now)])
    assert receiver.got == []


def test_filters(world: World, receiver: Receiver) -> None:
    one, two = fill(world, 20), fill(world, 20, first=101, device="d2", other=1.0)
    world.run([make_target(address=receiver.url, devices=["d2"])])
    assert ids(receiver) == two
    receiver.clear()
    world.run([make_target(2, address=receiver.url, fields=["zyggl"])])
    assert ids(receiver) == one and {tuple(row["payload"]) for row in receiver.rows} == {("zyggl",)}
    receiver.clear()
    world.run([make_target(3, address=receiver.url, types=["solar"])])
    world.run([make_target(4, address=receiver.url, enabled=False)])
    assert receiver.got == [] and world.positions.count_documents({"_id": 4}) == 0
    # What others got is not read again: the position is where everything has settled.
    until = world.now - timedelta(seconds=world.settings.changes_horizon_seconds)
    for number in (1, 2, 3):
        assert {feed["at"] for feed in world.status(number)["feeds"].values()} == {until}


def test_buckets_come_with_their_statistics(world: World, receiver: Receiver) -> None:
    fill(world, 3)
    bucket = {
        "device_id": "d1", "timestamp": T0, "payload": {"zyggl": 2.0}, "final": True, "updated_at": T0,
        "stats": {"zyggl": {"n": 2, "sum": 4.0, "min": 1.0, "max": 3.0}},
        "coverage": {"count": 2, "first": T0, "last": T0, "seconds": 60.0},
    }  # fmt: skip
    world.db[TIER].insert_one(bucket)
    world.run([make_target(address=receiver.url, content="buckets", resolution="30m")])
    [row] = receiver.rows
    assert row["final"] is True and row["stats"]["zyggl"]["max"] == 3.0 and row["coverage"]["count"] == 2
    body = json.loads(receiver.got[0][1])
    assert (body["content"], body["type"], body["resolution"], body["gap"]) == ("buckets", "rt", "30m", None)


def test_one_that_is_behind_the_retention_is_told_so_once(world: World, receiver: Receiver) -> None:
    settings = world.settings.model_copy(update={"mongo_raw_ttl_seconds": 3600})
    fill(world, 3)
    world.settings = settings
    world.run([make_target(address=receiver.url)])
    body = json.loads(receiver.got[0][1])
    assert body["gap"]["from"] == "2026-11-01T08:00:00.000Z" and body["gap"]["until"] > body["gap"]["from"]
    found = world.status()
    assert found["gaps"] == 1 and found["feeds"]["rt"]["gap_from"] == T0
    assert len(body["rows"]) == 3
    # Days behind, it goes on day by day; that is one gap.
    world.now += timedelta(days=5)
    world.run([make_target(address=receiver.url)])
    assert world.status()["gaps"] == 1


def test_a_test_is_sent_once_also_where_it_is_disabled(world: World, receiver: Receiver) -> None:
    target = make_target(address=receiver.url, enabled=False)
    for status, ok in ((200, True), (500, False)):
        receiver.status = status
        ask_for_test(world.positions, 1, world.now)
        assert world.run([target]).tests == 1 and world.run([target]).tests == 0
        assert world.status()["test"]["ok"] is ok and not asked_tests(world.positions)
    body = json.loads(receiver.got[0][1])
    assert body["test"] is True and body["rows"] == [] and len(receiver.got) == 2


def test_the_example_of_the_docs_checks_signatures(world: World, receiver: Receiver) -> None:
    fill(world, 1)
    world.run([make_target(address=receiver.url)])
    headers, body = receiver.got[0]
    text = next(block for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "hmac" in block)
    space: dict[str, Any] = {}
    exec(text, space)
    sent = world.now.timestamp()
    assert space["is_genuine"](SECRET, headers, body, sent + 5)
    assert not space["is_genuine"]("gpo_other", headers, body, sent)
    assert not space["is_genuine"](SECRET, headers, body + b" ", sent)
    assert not space["is_genuine"](SECRET, headers, body, sent + 3_600)
    plain = hmac.new(SECRET.encode(), headers["GreenPower-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["GreenPower-Signature"] == "v1=" + plain.hexdigest()
