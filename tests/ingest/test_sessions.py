"""Frames whose meaning depends on a birth, through pipelines on a real MongoDB: each value under its name, whatever
process takes which frame, is restarted or killed; and a replay gives the same."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype.session import MAX_SESSION_BYTES, make_birth
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.steps.sessions import SessionCache
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.devices.sessions import KnownSessions, NewBirth, SessionKey, add_births, read_sessions
from greenpower.mongo.schema.layout import SESSIONS, ensure_indexes
from tests.ingest.conftest import Document
from tests.ingest.replay.test_replay import run_replay
from tests.ingest.session_meter import BASE, REGISTRY, at, birth, data, death
from tests.ingest.told import Fault, Told, UnforeseenError, go_through
from tests.mongo.shape import VIEWS, check

ONE, OTHER = {"1": "power", "2": "energy"}, {"1": "energy", "2": "power"}
KEY = SessionKey("numbered", "M1")
SPAN = (BASE - timedelta(minutes=1), BASE + timedelta(minutes=2))


def through(settings: Settings, *batches: Iterable[Arrival], faults: Sequence[Fault] = ()) -> Told:
    """Each batch in turn, in one process that begins now."""
    return go_through(settings, batches, *faults, registry=REGISTRY)


def readings(db: Database[Document], device: str = "M1") -> dict[float, Document]:
    """{seconds from the base: payload}."""
    found = db.numbered_data.find({"device_id": device}).sort("timestamp")
    return {(item["timestamp"] - BASE).total_seconds(): item["payload"] for item in found}


def outcomes(db: Database[Document]) -> list[tuple[str, str]]:
    return [(event["outcome"], event.get("reason", "")) for event in db.telemetry_events.find().sort("received_at")]


@pytest.fixture(autouse=True)
def indexes(settings: Settings, db: Database[Document]) -> Iterator[None]:
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], REGISTRY, settings)
    yield


def test_a_birth_and_what_follows_it_in_one_batch(settings: Settings, db: Database[Document]) -> None:
    told = through(
        settings,
        [data({"1": 9}, 0, sent=0), birth(ONE, 1, sent=1, values={"1": 5, "2": 100}), data({"1": 6}, 2, sent=2)],
        [data({"2": 101}, 3, sent=3), data({"3": 1}, 4, sent=4)],
    )
    assert readings(db) == {1: {"power": 5, "energy": 100}, 2: {"power": 6}, 3: {"energy": 101}}
    assert outcomes(db) == [("rejected", "no-session"), *[("stored", "")] * 3, ("rejected", "no-session")]
    assert told.metric("frames_rejected_total", type="numbered", reason="no-session") == 2
    assert told.metric("sessions_begun_total", type="numbered") == 1
    check(list(db[SESSIONS].find()), VIEWS[SESSIONS])


def test_a_birth_without_values_is_noted(settings: Settings, db: Database[Document]) -> None:
    told = through(settings, [birth(ONE, 0, sent=0), data({"1": 6}, 1, sent=1)])
    assert outcomes(db) == [("noted", "birth"), ("stored", "")]
    # One whose values are all left out, too.
    through(settings, [birth({"1": "unknown"}, 2, sent=2, values={"1": 5}), data({"1": 1}, 3, sent=3)])
    assert outcomes(db)[2:] == [("noted", "birth"), ("rejected", "no-values")]
    assert told.metric("frames_noted_total", type="numbered", reason="birth") == 1


def test_a_death_is_noted_and_is_no_sign_of_life(settings: Settings, db: Database[Document]) -> None:
    through(settings, [birth(ONE, 0, sent=0), data({"1": 5}, 1, sent=1), death(9), death(9, device="M2")])
    assert outcomes(db)[2:] == [("noted", "death")] * 2
    assert [(seen["device_id"], seen["last_heard"]) for seen in db.devices_seen.find()] == [("M1", at(1))]
    # What its birth said stays: data that comes late is read.
    through(settings, [data({"1": 6}, 10, sent=2)])
    assert readings(db) == {1: {"power": 5}, 2: {"power": 6}}


def test_a_process_that_begins_between_a_birth_and_its_data(settings: Settings, db: Database[Document]) -> None:
    through(settings, [birth(ONE, 0, sent=0)])
    through(settings, [data({"1": 6}, 1, sent=1)])
    through(settings, [birth(OTHER, 2, sent=2)], [data({"1": 7}, 3, sent=3)])
    through(settings, [data({"1": 8}, 4, sent=4)])
    assert readings(db) == {1: {"power": 6}, 3: {"energy": 7}, 4: {"energy": 8}}


def test_births_without_a_time_count_from_their_arrival(settings: Settings, db: Database[Document]) -> None:
    through(settings, [birth(ONE, 0), data({"1": 1}, 1), birth(OTHER, 2), data({"1": 2}, 3)])
    # Again, since its first acknowledgement was lost.
    through(settings, [birth(ONE, 4, dup=True), data({"1": 3}, 5)])
    assert [*readings(db).values()] == [{"power": 1}, {"energy": 2}, {"energy": 3}]


def test_an_old_birth_that_comes_again_replaces_no_newer_one(settings: Settings, db: Database[Document]) -> None:
    through(settings, [birth(ONE, 0, sent=0), birth(OTHER, 2, sent=2), data({"1": 2}, 3, sent=3)])
    again = [birth(ONE, 4, sent=0, dup=True), data({"1": 1}, 5, sent=1, dup=True), data({"1": 4}, 6, sent=6)]
    through(settings, again)
    assert readings(db) == {1: {"power": 1}, 3: {"energy": 2}, 6: {"energy": 4}}
    before = db[SESSIONS].find_one()
    through(settings, [birth(ONE, 7, sent=0, dup=True)])
    assert db[SESSIONS].find_one() == before


async def _alternate(settings: Settings, frames: Sequence[Arrival], processes: int) -> None:
    """Frames one by one, each by the next of several processes that all run."""
    async with async_client(settings) as client:
        db = client[settings.mongo_db_name]
        pipelines = [
            Pipeline(registry=REGISTRY, settings=settings, db=db, metrics=IngestMetrics()) for _ in range(processes)
        ]
        for number, arrival in enumerate(frames):
            await pipelines[number % processes].submit(arrival)


def test_processes_that_share_the_frames(settings: Settings, db: Database[Document]) -> None:
    """Each has an older session cached when another one takes a birth."""
    frames: list[Arrival] = []
    expected = {}
    for number in range(24):
        names = (ONE, OTHER)[number // 4 % 2]
        if number % 4 == 0:
            frames.append(birth(names, number, sent=number))
        else:
            frames.append(data({"1": number}, number, sent=number))
            expected[float(number)] = {names["1"]: number}
    asyncio.run(_alternate(settings, frames, 3))
    assert readings(db) == expected
    assert {outcome for outcome, _ in outcomes(db)} == {"stored", "noted"}


def test_a_process_tells_when_it_has_read_frames_before_their_birth(settings: Settings, db: Database[Document]) -> None:
    async def go() -> list[float]:
        async with async_client(settings) as client:
            database = client[settings.mongo_db_name]
            first, second = IngestMetrics(), IngestMetrics()
            one, two = (
                Pipeline(registry=REGISTRY, settings=settings, db=database, metrics=metrics)
                for metrics in (first, second)
            )
            late = []
            for pipeline, arrival in (
                (one, birth(ONE, 0, sent=0)),
                (two, data({"1": 1}, 1, sent=1)),
                (one, birth(ONE, 1.5, sent=1.5)),  # says the same
                (two, data({"1": 3}, 3, sent=3)),
                (one, birth(OTHER, 4, sent=2)),
                (two, data({"1": 5}, 5, sent=5)),
                (two, data({"1": 6}, 6, sent=6)),
            ):
                await pipeline.submit(arrival)
                counted = second.registry.get_sample_value("greenpower_sessions_late_total", {"type": "numbered"})
                late.append(counted or 0.0)
            assert first.registry.get_sample_value("greenpower_sessions_late_total", {"type": "numbered"}) is None
            return late

    assert asyncio.run(go()) == [0, 0, 0, 0, 0, 1, 1]
    assert readings(db)[3] == {"power": 3}
    run_replay(settings, REGISTRY, name="numbered", span=SPAN)
    assert readings(db)[3] == {"energy": 3}


def test_whatever_the_order_each_value_that_is_stored_has_its_name(settings: Settings, db: Database[Document]) -> None:
    """Of five frames that three processes get in any order; what came before all births is stored by a replay."""

    def frames(device: str) -> list[Arrival]:
        return [
            birth(ONE, 0, sent=0, device=device),
            data({"1": 1}, 1, sent=1, device=device),
            birth(OTHER, 2, sent=2, device=device),
            data({"1": 3}, 3, sent=3, device=device),
            data({"2": 4}, 4, sent=4, device=device),
        ]

    orders = [*permutations(range(5))][::11]
    for place, order in enumerate(orders):
        sent = frames(f"D{place}")
        arriving = [sent[number] for number in order]
        for moment, arrival in enumerate(arriving):
            arrival.received_at = at(10 + moment)
        asyncio.run(_alternate(settings, arriving, 3))
    whole: dict[float, Document] = {1: {"power": 1}, 3: {"energy": 3}, 4: {"power": 4}}
    misread = 0
    for place in range(len(orders)):
        # With neither birth, or with the first one alone, nothing can tell: no value, or one of the session before.
        found = readings(db, f"D{place}")
        misread += any(found[time] != whole[time] for time in found)
    run_replay(settings, REGISTRY, name="numbered", span=SPAN)
    for place in range(len(orders)):
        assert readings(db, f"D{place}") == whole, orders[place]
    assert misread < len(orders) / 2


@pytest.mark.parametrize("collection", [SESSIONS, "numbered_data", "telemetry_events"])
@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_is_killed_within_a_batch(
    settings: Settings, db: Database[Document], collection: str, after: bool
) -> None:
    """Before and after each of its writes; nothing of the batch was acknowledged, so all of it comes again."""

    def batch(later: float, **given: Any) -> list[Arrival]:
        return [
            birth(OTHER, 10 + later, sent=10, values={"1": 100}, **given),
            data({"2": 7}, 11 + later, sent=11, **given),
        ]

    async def kill() -> None:
        async with async_client(settings) as client:
            pipeline = Pipeline(
                registry=REGISTRY, settings=settings, db=client[settings.mongo_db_name], metrics=IngestMetrics()
            )
            for arrival in [birth(ONE, 0, sent=0), data({"1": 1}, 1, sent=1)]:
                pipeline.submit(arrival)
            await pipeline.drain()
            reached = asyncio.Event()
            _hang_at(pipeline, collection, after, reached)
            answers = [pipeline.submit(arrival) for arrival in batch(0)]
            await reached.wait()
            assert not any(answer.done() for answer in answers)
            await pipeline.batcher.abandon()

    asyncio.run(kill())
    through(settings, batch(20, dup=True), [data({"1": 101}, 40, sent=40)])
    assert readings(db) == {1: {"power": 1}, 10: {"energy": 100}, 11: {"power": 7}, 40: {"energy": 101}}
    assert len(db[SESSIONS].find_one({})["births"]) == 2  # type: ignore[index]


def _hang_at(pipeline: Pipeline, collection: str, after: bool, reached: asyncio.Event) -> None:
    """Stop a pipeline for ever before or after it writes to a collection."""
    owner, name = {
        SESSIONS: (pipeline.sessions, "_keep"),
        "numbered_data": (pipeline.storing, "store"),
        "telemetry_events": (pipeline.events, "keep"),
    }[collection]
    call = getattr(owner, name)

    async def held(*args: Any) -> Any:
        if after:
            await call(*args)
        reached.set()
        await asyncio.Event().wait()

    setattr(owner, name, held)


def test_a_session_that_cannot_be_stored_for_a_reason_that_nobody_foresaw(
    settings: Settings, db: Database[Document]
) -> None:
    """It costs the frames of its device, and they say so; the others go on."""

    class Failing:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def replace_one(self, *_: Any, **__: Any) -> None:
            raise UnforeseenError("sessions")

    async def go() -> None:
        async with async_client(settings) as client:
            pipeline = Pipeline(
                registry=REGISTRY, settings=settings, db=client[settings.mongo_db_name], metrics=IngestMetrics()
            )
            await pipeline.submit(birth(ONE, 0, sent=0, device="M2"))
            pipeline.sessions.collection = Failing(pipeline.sessions.collection)  # type: ignore[assignment]
            frames = [birth(ONE, 1, sent=1), data({"1": 5}, 2, sent=2), data({"1": 6}, 3, sent=3, device="M2")]
            await asyncio.gather(*(pipeline.submit(arrival) for arrival in frames))

    asyncio.run(go())
    assert outcomes(db) == [("noted", "birth"), *[("rejected", "internal-error")] * 2, ("stored", "")]
    assert readings(db) == {} and readings(db, "M2") == {3: {"power": 6}}


def test_what_cannot_be_kept_is_rejected_and_counted(settings: Settings, db: Database[Document]) -> None:
    long = {str(number): "x" * 1000 for number in range(MAX_SESSION_BYTES // 1000)}
    using = settings.model_copy(update={"max_frame_bytes": 2 * MAX_SESSION_BYTES})
    told = through(using, [birth(ONE, 0, sent=0), birth(long, 1, sent=1), data({"1": 5}, 2, sent=2)])
    assert outcomes(db) == [("noted", "birth"), ("rejected", "session-too-large"), ("stored", "")]
    assert told.metric("frames_rejected_total", type="numbered", reason="session-too-large") == 1


def test_nothing_is_kept_of_devices_that_are_refused(settings: Settings, db: Database[Document]) -> None:
    using = settings.model_copy(update={"device_policy": "registered"})
    through(using, [birth(ONE, 0, sent=0), data({"1": 5}, 1, sent=1)], [data({"1": 5}, 2, sent=2)])
    assert db[SESSIONS].count_documents({}) == 0 and readings(db) == {}


def test_a_replay_gives_what_was_stored(settings: Settings, db: Database[Document]) -> None:
    through(settings, [birth(ONE, 0, sent=0), data({"1": 1}, 1, sent=1)])
    through(settings, [birth(OTHER, 2, sent=2, values={"2": 2}), data({"1": 3}, 3, sent=3), birth(ONE, 4, sent=4)])
    through(settings, [data({"1": 5}, 5, sent=5), birth(ONE, 6, sent=0, dup=True), data({"1": 7}, 7, sent=7)])
    before = readings(db)
    # Of the second half alone: its first frames are of a birth before the span.
    for span in (SPAN, (at(2.5), at(60))):
        summary = run_replay(settings, REGISTRY, name="numbered", span=span)
        assert readings(db) == before
        assert summary.changes.total == 0 and not summary.rejected
    db.numbered_data.delete_many({})
    run_replay(settings, REGISTRY, name="numbered", span=SPAN)
    assert readings(db) == before
    # Its own births suffice: where what was stored of them is gone, those in the events are read.
    db[SESSIONS].delete_many({})
    db.numbered_data.delete_many({})
    run_replay(settings, REGISTRY, name="numbered", span=SPAN)
    assert readings(db) == before


def test_a_frame_that_overtook_its_first_birth_is_stored_by_a_replay(
    settings: Settings, db: Database[Document]
) -> None:
    through(settings, [data({"1": 1}, 0.1, sent=0.05)], [birth(ONE, 0.2, sent=0)])
    assert readings(db) == {}
    run_replay(settings, REGISTRY, name="numbered", span=SPAN)
    assert [*readings(db).values()] == [{"power": 1}]


def test_two_writers_at_once(settings: Settings, db: Database[Document]) -> None:
    """Neither loses the birth of the other."""

    async def go() -> None:
        async with async_client(settings) as client:
            collection = client[settings.mongo_db_name][SESSIONS]
            births = [make_birth({"n": number % 3}, at(number), at(number)) for number in range(20)]
            nothing = KnownSessions(0, ())
            await asyncio.gather(
                *(add_births(collection, KEY, [NewBirth(one, False)], nothing) for one in births[::-1])
            )
            found = (await read_sessions(collection, [KEY]))[KEY]
            assert [birth.born for birth in found.births] == [birth.born for birth in births]
            assert [birth.session["n"] for birth in found.births] == [number % 3 for number in range(20)]
            assert found.revision == 20

    asyncio.run(go())


def test_the_cache_is_bounded() -> None:
    cache = SessionCache(most=3, most_bytes=100)
    known = KnownSessions(1, (make_birth({"a": "x" * 20}, BASE, BASE),))
    keys = [SessionKey("numbered", f"M{number}") for number in range(6)]
    for key in keys:
        cache.put(key, known)
    assert len(cache) == 3 and cache.get(keys[0]).revision == 0 and cache.get(keys[5]) is known
    cache.get(keys[3])
    cache.put(keys[0], KnownSessions(1, (make_birth({"a": "x" * 80}, BASE, BASE),)))
    assert [bool(cache.get(key).revision) for key in keys] == [True, False, False, False, False, False]
    cache.drop(keys[0])
    cache.drop(keys[0])
    assert cache.size == len(cache) == 0
