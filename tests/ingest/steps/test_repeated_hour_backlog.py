"""The repeated hour through ingest's steps on a real MongoDB: nothing is lost, whichever way the frames come."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from bson import ObjectId
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.readings.clock_mark import ARRIVAL
from greenpower.mongo.schema.layout import EVENTS, ensure_indexes
from tests.ingest.conftest import Document, stamp
from tests.ingest.replay.test_replay import run_replay
from tests.ingest.summer_time import CHANGES, ENERGY, LATER, METER, POWER, ZONES, Feed


@pytest.fixture
def berlin(settings: Settings) -> Settings:
    return in_zone(settings, "Europe/Berlin")


def in_zone(settings: Settings, zone: str) -> Settings:
    return Settings.model_validate({**settings.model_dump(), "device_timezone": zone, "backlog_max_days": 400})


def run(settings: Settings, *processes: Sequence[Sequence[Arrival]]) -> None:
    """Feed batches to processes, all at the same time; each takes its batches one after the other."""
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        if EVENTS not in db.list_collection_names():
            ensure_indexes(db, [get_registry()[name] for name in ("rt", "eny_now")], settings)

    async def process(batches: Sequence[Sequence[Arrival]]) -> None:
        async with async_client(settings) as client:
            db = client[settings.mongo_db_name]
            pipeline = Pipeline(registry=get_registry(), settings=settings, db=db, metrics=IngestMetrics())
            await pipeline.clock.load()
            for batch in batches:
                done = [pipeline.submit(arrival) for arrival in batch]
                await pipeline.drain()
                await asyncio.gather(*done)

    async def go() -> None:
        await asyncio.gather(*(process(batches) for batches in processes))

    asyncio.run(go())


def cut(arrivals: Sequence[Arrival], draw: random.Random) -> list[Sequence[Arrival]]:
    """Batches, cut anywhere."""
    cuts = sorted(draw.sample(range(1, len(arrivals)), min(len(arrivals) - 1, draw.randint(0, 9))))
    return [arrivals[begin:end] for begin, end in pairwise([0, *cuts, len(arrivals)])]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("step", "kind"), [(60, ENERGY), (417, POWER), (900, ENERGY), (900, POWER)])
def test_a_backlog_in_order(settings: Settings, db: Database[Document], zone: str, kind: str, step: int) -> None:
    feed = Feed(zone, step=step, kind=kind)
    run(in_zone(settings, zone), cut(feed.backlog(), random.Random(step)))
    feed.check(db)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
@pytest.mark.parametrize("seed", range(3))
def test_a_backlog_that_is_sent_twice_with_frames_that_come_again(
    berlin: Settings, db: Database[Document], kind: str, seed: int
) -> None:
    """The whole of it twice; before, some frames come again at once, and some a few frames later."""
    draw = random.Random(seed)
    feed = Feed(kind=kind)
    once: list[int] = []
    for n in range(len(feed.times)):
        once.append(n)
        if draw.random() < 0.3:
            once.append(draw.choice(once[-6:]))
        if draw.random() < 0.3:
            once.append(n)
    frames = feed.backlog([*once, *range(len(feed.times))])
    run(berlin, cut(frames, draw))
    feed.check(db)
    assert db.telemetry_events.count_documents({"outcome": "duplicate"}) == len(frames) - len(feed.times)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
def test_ingest_starts_anew_between_the_passes(berlin: Settings, db: Database[Document], kind: str) -> None:
    feed = Feed(kind=kind)
    for arrival in feed.backlog():
        run(berlin, [[arrival]])
    feed.check(db)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
@pytest.mark.parametrize("seed", range(4))
def test_several_processes_share_a_backlog(berlin: Settings, db: Database[Document], seed: int, kind: str) -> None:
    """Each has some of the frames, and takes its own in order; what is before is not always stored before."""
    draw = random.Random(seed)
    feed = Feed(kind=kind, step=(900, 600, 300, 60)[seed], hours=8)
    shares: list[list[Arrival]] = [[] for _ in range(2 + seed)]
    for arrival in feed.backlog():
        draw.choice(shares).append(arrival)
    run(berlin, *(cut(share, draw) for share in shares))
    feed.check(db)


def test_several_processes_have_all_of_it(berlin: Settings, db: Database[Document]) -> None:
    feed = Feed()
    run(berlin, *(cut(feed.backlog(), random.Random(seed)) for seed in range(3)))
    feed.check(db)


@pytest.mark.parametrize("seed", range(3))
def test_split_packets(berlin: Settings, db: Database[Document], seed: int) -> None:
    """Each reading in three packets, one of them all zero; another packet of the same may be the first."""
    draw = random.Random(seed)
    feed = Feed()
    feed.values = [
        {"zygsz": 100 + 0.25 * n, "zszsz": 150 + 0.5 * n, "fygsz": 0.0, "uathd": 1 + n / 8} for n in range(40)
    ]
    frames: list[Arrival] = []
    begin = feed.times[-1] + LATER
    for n in range(40):
        parts = [
            {"zygsz": feed.values[n]["zygsz"]},
            {"fygsz": 0.0},
            {name: feed.values[n][name] for name in ("zszsz", "uathd")},
        ]
        draw.shuffle(parts)
        for part in parts:
            body = {"id": METER, **part, "time": stamp(feed.times[n], feed.zone), "isend": "0"}
            frames.append(feed.arrival(body, begin + timedelta(milliseconds=len(frames))))
    run(berlin, cut(frames, draw))
    feed.check(db)


@pytest.mark.parametrize("step", [900, 60])
def test_a_meter_at_rest(berlin: Settings, db: Database[Document], step: int) -> None:
    """The second pass says byte for byte what the first says."""
    feed = Feed(step=step)
    feed.values = [feed.values[0]] * len(feed.times)
    run(berlin, cut([*feed.backlog(), *feed.backlog(after=2 * LATER)], random.Random(1)))
    feed.check(db)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
def test_one_frame_an_hour(berlin: Settings, db: Database[Document], kind: str) -> None:
    feed = Feed(step=3600, kind=kind)
    run(berlin, cut([*feed.backlog(), *feed.backlog(after=2 * LATER)], random.Random(1)))
    feed.check(db)


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("rest", [False, True])
@pytest.mark.parametrize(("step", "kind"), [(300, POWER), (900, ENERGY), (3600, POWER), (3600, ENERGY)])
def test_a_live_device(berlin: Settings, db: Database[Document], step: int, kind: str, rest: bool, anew: bool) -> None:
    feed = Feed(step=step, kind=kind, hours=6)
    if rest:
        feed.values = [feed.values[0]] * len(feed.times)
    frames = [feed.frame(n) for n in range(len(feed.times))]
    middle = next(index for index, time in enumerate(feed.times) if time >= CHANGES[feed.zone])
    if anew:
        run(berlin, [[frame] for frame in frames[:middle]])
        run(berlin, [[frame] for frame in frames[middle:]])
    else:
        run(berlin, [[frame] for frame in frames])
    feed.check(db)
    assert db.device_clocks.count_documents({"offset_ms": {"$exists": True}}) == 0
    assert db.device_clocks.count_documents({"choosing": {"$exists": True}}) == 0


def test_a_live_device_that_was_not_there_before(berlin: Settings, db: Database[Document]) -> None:
    feed = Feed(step=300, hours=6)
    feed.times, feed.values = feed.times[36:], feed.values[36:]  # from the second pass on
    run(berlin, [[feed.frame(n)] for n in range(len(feed.times))])
    feed.check(db)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
@pytest.mark.parametrize("late", [2, 40, 1500, 3000])
def test_what_was_kept_while_the_network_was_away(
    berlin: Settings, db: Database[Document], kind: str, late: int
) -> None:
    """Sent at one go in the second pass, then the device goes on at once: no clock is held to be wrong for it."""
    feed = Feed(kind=kind, step=300, hours=6)
    change = CHANGES[feed.zone]
    back = change + timedelta(seconds=late)
    frames = []
    for n, time in enumerate(feed.times):
        away = change - timedelta(minutes=70) < time <= back
        frames.append(feed.frame(n, (back if away else time) + timedelta(seconds=2, milliseconds=n)))
    run(berlin, cut(frames, random.Random(late)))
    feed.check(db)
    assert db.device_clocks.count_documents({"offset_ms": {"$exists": True}}) == 0


@pytest.mark.parametrize("kind", [ENERGY, POWER])
def test_what_came_live_before_the_backlog_changes_nothing(berlin: Settings, db: Database[Document], kind: str) -> None:
    feed = Feed(kind=kind)
    later = range(30, 40)
    frames = [*(feed.frame(n) for n in later), *feed.backlog(range(30))]
    run(berlin, cut(frames, random.Random(2)))
    feed.check(db)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
@pytest.mark.parametrize("slow", [20, 70, -4])
def test_a_clock_that_is_minutes_slow_or_fast(berlin: Settings, db: Database[Document], slow: int, kind: str) -> None:
    """Within what is believed, so that its stamps are taken as they are."""
    feed = Feed(kind=kind, step=300, hours=6)
    run(berlin, [[feed.frame(n, time + timedelta(minutes=slow))] for n, time in enumerate(feed.times)])
    feed.check(db)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
@pytest.mark.parametrize("ahead", [timedelta(minutes=25), timedelta(days=800)])
def test_a_wrong_clock_that_repeats_the_hour(
    berlin: Settings, db: Database[Document], ahead: timedelta, kind: str
) -> None:
    """Its stamps are moved by its offset, through the repeated hour that its own clock shows."""
    feed = Feed(kind=kind, step=300, hours=6)
    arrivals = [feed.frame(n, time - ahead + timedelta(seconds=1)) for n, time in enumerate(feed.times)]
    run(berlin, [[arrival] for arrival in arrivals])
    offset = timedelta(seconds=1) - ahead
    feed.times = [time + offset for time in feed.times]
    feed.check(db)
    assert [clock["offset_ms"] for clock in db.device_clocks.find()] == [offset // timedelta(milliseconds=1)]


def test_a_reading_that_is_moved_is_rolled_up_anew_and_its_event_follows(
    berlin: Settings, db: Database[Document]
) -> None:
    """The frame of the second pass was quicker than that of the first, of another process."""
    feed = Feed()
    first, second = 8, 12  # of one stamp
    begin = feed.times[-1] + LATER
    run(berlin, [feed.backlog(range(8)), [feed.frame(second, begin + timedelta(milliseconds=second))]])
    assert db.grid_eny_now_data.count_documents({"timestamp": feed.times[first]}) == 1
    [before] = db.grid_eny_now_data.find({"timestamp": feed.times[first]})
    db.rollup_marks.delete_many({})
    run(berlin, [[feed.frame(first, begin + timedelta(milliseconds=first))]])
    [moved] = db.grid_eny_now_data.find({"timestamp": feed.times[second]})
    assert (moved["_id"], moved["payload"]) == (before["_id"], feed.values[second])
    assert moved["updated_at"] > before["updated_at"]
    hours = {feed.times[n].replace(minute=0) for n in (first, second)}
    assert {mark["hour"] for mark in db.rollup_marks.find()} == hours
    events = {event["timestamp"]: event["raw"] for event in db.telemetry_events.find()}
    assert events[feed.times[second]] == json.dumps(feed.body(second))
    assert events[feed.times[first]] == json.dumps(feed.body(first))
    summary = run_replay(berlin, get_registry(), name="eny_now", span=(feed.times[0], feed.times[-1]))
    assert (summary.changes.total, summary.changes.same) == (0, 10)


@pytest.mark.parametrize("kind", [ENERGY, POWER])
def test_a_replay_that_has_no_time_to_go_by_chooses_again(berlin: Settings, db: Database[Document], kind: str) -> None:
    """As where today's parser reads the stamps, and the one of then did not."""
    feed = Feed(kind=kind)
    run(berlin, [feed.backlog()])
    db.telemetry_events.update_many({}, {"$unset": {"timestamp": ""}})
    name = "eny_now" if kind == ENERGY else "rt"
    summary = run_replay(berlin, get_registry(), name=name, span=(feed.times[0], feed.times[-1] + LATER))
    assert (summary.changes.total, summary.changes.same) == (0, 40)


def test_a_batch_that_was_lost_keeps_others_waiting_for_a_while_only(berlin: Settings, db: Database[Document]) -> None:
    feed = Feed()
    past = datetime.now(UTC) - timedelta(seconds=1)
    held = {"choosing": {"owner": ObjectId(), "until": past}, "updated_at": past}
    db.device_clocks.insert_one({"_id": METER, **held})
    run(berlin, [feed.backlog()])
    feed.check(db)
    assert db.device_clocks.count_documents({"choosing": {"$exists": True}}) == 0


def test_a_clock_that_stands_in_the_repeated_hour_is_stuck(berlin: Settings, db: Database[Document]) -> None:
    """In both passes: that its stamp could be of the second one, too, does not make it go on."""
    feed = Feed(step=300)
    begin = feed.times.index(CHANGES[feed.zone]) - 8
    stands = stamp(feed.times[begin], feed.zone)
    run(berlin, [[feed.arrival(feed.body(n, time=stands), feed.times[n])] for n in range(begin, begin + 40)])
    arrived = db.grid_eny_now_data.count_documents({"clock": ARRIVAL})
    assert arrived == 40 - 4  # but for the first, and the odd conflicts
    assert db.telemetry_events.count_documents({"clock": "stuck"}) == arrived
