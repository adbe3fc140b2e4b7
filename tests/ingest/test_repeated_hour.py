"""Backlogs over the end of summer time through a real broker, TCP and MongoDB, with the zone's latest change."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS
from greenpower.stack import Mosquitto
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document, Publisher, Start, wait_events
from tests.ingest.replay.test_replay import run_replay
from tests.ingest.sources.test_lines import Lines
from tests.ingest.summer_time import ENERGY, METER, POWER, Feed, latest_change
from tests.process import Command
from tests.wait import wait_until

NOW = datetime.now(UTC)


def feed_of(zone: str, *, step: float = 900, hours: float = 10, kind: str = ENERGY) -> Feed:
    return Feed(zone, step=step, hours=hours, kind=kind, change=latest_change(zone, NOW))


def in_zone(settings: Settings, zone: str, **values: object) -> Settings:
    """The zone's latest change lies within the backlog."""
    given = {"device_timezone": zone, "backlog_max_days": 400, **values}
    return Settings.model_validate({**settings.model_dump(), **given})


def hours_of(db: Database[Document], feed: Feed) -> list[float]:
    """What was counted up to the samples of each hour: a step falls into the hour of its later sample."""
    counted: defaultdict[int, float] = defaultdict(float)
    readings = list(db.grid_eny_now_data.find({"device_id": METER}).sort("timestamp"))
    for before, after in pairwise(readings):
        hour = (after["timestamp"] - feed.times[0]) // timedelta(hours=1)
        counted[hour] += after["payload"]["zygsz"] - before["payload"]["zygsz"]
    return [counted[hour] for hour in range(max(counted) + 1)]


def copies_of(db: Database[Document], feed: Feed) -> Counter[str]:
    """How often each frame is on record; one that was not acknowledged before a kill comes once more than sent."""
    found: Counter[str] = Counter({json.dumps(feed.body(n)): 0 for n in range(len(feed.times))})
    found.update(event["raw"] for event in db.telemetry_events.find())
    return found


def replay_changes_nothing(settings: Settings, feed: Feed) -> None:
    day = timedelta(days=1)
    name = "eny_now" if feed.kind == ENERGY else "rt"
    summary = run_replay(settings, get_registry(), name=name, span=(feed.times[0] - day, feed.times[-1] + day))
    assert (summary.changes.total, summary.changes.same) == (0, len(feed.times))


@pytest.mark.parametrize(
    ("zone", "step", "kind"),
    [
        ("Europe/Berlin", 900, ENERGY),
        ("America/New_York", 600, POWER),
        # The rule itself is held for these in steps/test_repeated_hour_backlog.py.
        *(
            pytest.param(*values, marks=pytest.mark.slow)
            for values in (
                ("Europe/Berlin", 60, ENERGY),
                ("Australia/Lord_Howe", 300, ENERGY),
                ("America/St_Johns", 3600, ENERGY),
            )
        ),
    ],
)
def test_a_backlog_over_mqtt(
    start: Start, settings: Settings, publisher: Publisher, db: Database[Document], zone: str, step: int, kind: str
) -> None:
    feed = feed_of(zone, step=step, kind=kind)
    using = in_zone(settings, zone)
    start(using)
    for n in range(len(feed.times)):
        publisher.send(kind, feed.body(n))
    wait_events(db, len(feed.times))
    feed.check(db)
    if kind == ENERGY and step == 900:
        assert hours_of(db, feed) == [0.75] + [1.0] * 9
    replay_changes_nothing(using, feed)


@pytest.mark.parametrize("at", [10, 13, 17])
def test_ingest_is_killed_within_the_hour_and_all_is_sent_again(
    start: Start, settings: Settings, publisher: Publisher, db: Database[Document], at: int
) -> None:
    feed = feed_of("Europe/Berlin")
    using = in_zone(settings, feed.zone)
    command = start(using)
    for n in range(at):
        publisher.send(ENERGY, feed.body(n))
    wait_events(db, at)
    command.kill()
    start(using)
    for n in range(at, 40):
        publisher.send(ENERGY, feed.body(n))
    # Of two copies in batches side by side, either may be stored first; a replay takes the earlier one.
    wait_until(lambda: db.grid_eny_now_data.count_documents({}) == 40)
    for n in range(40):
        publisher.send(ENERGY, feed.body(n))
    wait_until(lambda: min(copies_of(db, feed).values()) >= 2)
    feed.check(db)
    assert hours_of(db, feed) == [0.75] + [1.0] * 9
    replay_changes_nothing(using, feed)


def test_processes_that_share_the_frames(
    start: Start, settings: Settings, db: Database[Document], tmp_path: Path
) -> None:
    feed = feed_of("Europe/Berlin", step=300)
    using = in_zone(settings, feed.zone)
    with Mosquitto(tmp_path / "mosquitto") as broker:
        address = {"mqtt_broker": broker.host, "mqtt_port": broker.port, "mqtt_shared": True}
        members = [
            in_zone(using, feed.zone, **address, mqtt_client_id=f"member-{n}", ingest_http_port=free_port())
            for n in range(3)
        ]
        for member in members:
            start(member)
        sender = Publisher(broker.host, broker.port)
        for n in range(len(feed.times)):
            sender.send(ENERGY, feed.body(n))
        wait_events(db, len(feed.times), timeout=30)
        sender.close()
    feed.check(db)
    replay_changes_nothing(using, feed)


def test_a_device_with_a_zone_of_its_own_beside_one_that_repeats_nothing(
    start: Start, settings: Settings, publisher: Publisher, db: Database[Document]
) -> None:
    """Both send the same stamps, but for those of the second pass, which the other one's clock shows once."""
    feed = feed_of("Europe/Berlin")
    using = in_zone(settings, "Asia/Dhaka")
    write_settings(db[DEVICE_SETTINGS], [DeviceSettings(device_id=METER, updated_at=NOW, timezone=feed.zone)])
    start(using)
    seen = set()
    for n in range(len(feed.times)):
        body = feed.body(n)
        publisher.send(ENERGY, body)
        if body["time"] not in seen:
            publisher.send(ENERGY, {**body, "id": "OTHER"})
            seen.add(body["time"])
    wait_events(db, 40 + len(seen))
    others = [reading["timestamp"] for reading in db.grid_eny_now_data.find({"device_id": "OTHER"}).sort("timestamp")]
    assert len(others) == 36
    assert {later - before for before, later in pairwise(others)} == {timedelta(minutes=15)}
    db.grid_eny_now_data.delete_many({"device_id": "OTHER"})
    db.telemetry_events.delete_many({"device_id": "OTHER"})
    feed.check(db)
    replay_changes_nothing(using, feed)


@pytest.fixture
def lines(settings: Settings, tmp_path: Path) -> Iterator[Lines]:
    """A connection to `greenpower ingest --tcp` with devices in Berlin."""
    using = in_zone(settings, "Europe/Berlin", tcp_lines_port=free_port(), tcp_lines_token="open sesame")
    with Command(using, "ingest", "--tcp", folder=tmp_path) as command:
        command.wait_healthy()
        command.wait_listening(using.tcp_port, using.tcp_lines_port)
        client = Lines(using.tcp_lines_port)
        yield client
        client.close()


@pytest.mark.parametrize("kind", [ENERGY, POWER])
def test_a_backlog_over_tcp(settings: Settings, lines: Lines, db: Database[Document], kind: str) -> None:
    feed = feed_of("Europe/Berlin", kind=kind, step=600)
    assert lines.ask("open sesame") == "ok"
    for n in range(len(feed.times)):
        lines.say(json.dumps({"topic": kind, "payload": feed.body(n)}))
    assert [lines.answer() for _ in feed.times] == ["ok"] * len(feed.times)
    feed.check(db)
    replay_changes_nothing(in_zone(settings, feed.zone), feed)
