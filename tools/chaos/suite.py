"""The fault suite: frames flow while faults befall the whole stack, and in the end the books must balance."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import redis
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.catalog.registry import get_registry
from greenpower.jobs.schedule import push, rollup_entry
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.rollups.plan import TierPlan, all_plans
from tests.realtime.conftest import Browser
from tests.rollups.truth import check_type
from tests.wait import wait_until
from tools.chaos.books import EVENTS, Books, balance, balance_clocks
from tools.chaos.clocks import Tick
from tools.chaos.fault import choose
from tools.chaos.plan import RT, Plan, stamp
from tools.chaos.record import Record
from tools.chaos.sender import Sender
from tools.chaos.stack import Stack
from tools.chaos.watch import Held, Listening

Document = dict[str, Any]
Say = Callable[[str], None]
GATEWAYS = 3
LOOSE, VIEWED = "33Q", "33V0000000001"
# Types whose tiers are held against the truth: those that were sent.
TYPES = ("rt", "eny_now", "solar")
AT_ONCE = 50  # devices whose readings are in memory for that
PATIENCE = 120  # without any progress
ROLLUP_PATIENCE = 600


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much. rate: frames a second at most. quick: only the kinds of fault of the short cut."""

    frames: int = 1_000_000
    faults: int = 24
    meters: int = 400
    rate: float = 4_000
    quick: bool = False
    broker_kills: int = 2

    @property
    def disk(self) -> int:
        """A disk for mongod that holds everything easily, until it is filled."""
        return 0 if self.quick else (2 << 30) + 2_500 * self.frames


@dataclass(slots=True)
class Report:
    """What was done and what came of it. apart: rows (what, sent, stored) of what has no acknowledgement to hold to."""

    seed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    while_sending: int = 0
    skipped: list[str] = field(default_factory=list)
    books: dict[str, Books] = field(default_factory=dict)
    apart: list[tuple[str, int, int]] = field(default_factory=list)
    buckets: int = 0
    held: dict[str, tuple[Held, int, Held]] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        return not self.trouble and all(books.balanced for books in self.books.values())


class Suite:
    """One run on a stack that is up."""

    def __init__(self, stack: Stack, scale: Scale, seed: int, say: Say = lambda text: None) -> None:
        self.stack, self.scale, self.say = stack, scale, say
        self.random = Random(seed)
        self.report = Report(seed=seed)

    def run(self) -> Report:
        """All of it. Never raises for what is wrong with the product: that is in the report."""
        with (
            MongoClient[Document](self.stack.mongod.uri, tz_aware=True, serverSelectionTimeoutMS=20_000) as client,
            Listening(self.stack) as watch,
        ):
            self.db: Database[Document] = client["chaos"]
            self._timed("under faults", self._main)
            self._timed("broker killed", self._kill_broker)
            self._timed("live", self._live)
            self._timed("rollups", self._rollups)
            self._timed("leaks", lambda: self._leaks(watch))
        self.report.trouble += self.stack.died
        return self.report

    def _timed(self, name: str, work: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            work()
        except Exception as error:  # whatever it is, what was found before it shall be shown
            self.report.trouble.append(f"{name}: {type(error).__name__}: {error}")
        self.report.seconds[name] = time.monotonic() - began

    def _main(self) -> None:
        scale = self.scale
        plan = Plan(frames=scale.frames, meters=scale.meters, end=int(time.time()) - 30)
        with Sending(self.stack, plan, scale.rate, gateways=GATEWAYS) as sending:
            said = self._strike(sending)
        self.report.seconds["sending"] = said["seconds"]
        acked = self._drained(sending)
        self.report.books["under faults"] = balance(self.db, plan, acked)
        ticks = [Tick(device=d, number=n, seconds=s, step=p, part=part) for d, n, s, p, part in said["ticks"]]
        self.report.books["clocks that step"] = balance_clocks(self.db, ticks)
        self.report.apart += [
            ("QoS 0", sending.record.read()[2], self._count("grid_rt_data", LOOSE)),
            ("rounds over TCP", sum(said["rounds"].values()), self.db["solar_data"].count_documents({})),
        ]

    def _strike(self, sending: Sending) -> dict[str, Any]:
        """Let faults befall the stack while frames are sent; what the generator says in the end."""
        scale = self.scale
        faults = choose(scale.faults, self.random, self.stack, quick=scale.quick)
        if not scale.quick and self.stack.disk is not None and self.stack.disk.reason:
            self.report.skipped.append(f"MongoDB's disk full: {self.stack.disk.reason}")
        moments = sorted(self.random.uniform(0.02, 0.97) * scale.frames for _ in faults)
        for fault, moment in zip(faults, moments, strict=True):
            sending.wait_for(int(moment))
            began = time.monotonic()
            self.report.while_sending += sending.process.poll() is None
            fault.strike(self.stack, self.random)
            self.report.faults[fault.name] += 1
            self.say(f"{sending.acked:>9,} acknowledged  {fault.name}  {time.monotonic() - began:.1f} s")
            self.stack.look()
        return sending.finish()

    def _kill_broker(self) -> None:
        """What the broker loses by its own kill -9, since its last save, is not ours to keep; all else is."""
        scale = self.scale
        frames = max(2_000, scale.frames // 50)
        plan = Plan(frames=frames, meters=20, end=int(time.time()) - 30, prefix="33K")
        with Sending(self.stack, plan, frames / 8) as sending:
            for number in range(scale.broker_kills):
                sending.wait_for(frames * (number + 1) // (scale.broker_kills + 1))
                self.stack.kill("broker")
                self.stack.start("broker")
            sending.finish()
        acked = self._drained(sending, all_of_it=False)
        books = balance(self.db, plan, acked, lossy=True)
        self.report.apart.append((f"readings, broker killed {scale.broker_kills} times", books.readings, books.stored))
        self.report.books["broker killed"] = replace(books, lost=0, unbooked=0)

    def _drained(self, sending: Sending, *, all_of_it: bool = True) -> bytes:
        """Wait until every acknowledged frame has an event, as long as they grow in number."""
        acked = sending.record.acked
        wanted, before, since = sum(acked), (-1, -1.0), time.monotonic()
        patience = PATIENCE if all_of_it else 15
        while time.monotonic() - since < patience:
            with suppress(PyMongoError, httpx.HTTPError):
                pending = self.stack.services["ingest"].metric("greenpower_frames_pending")
                state = (self._count(EVENTS, sending.plan.prefix), pending)
                if state[0] >= wanted and not pending:
                    break
                if state != before:
                    before, since = state, time.monotonic()
            time.sleep(3 if all_of_it else 1)
        self.stack.wait_well()
        return acked

    def _count(self, collection: str, prefix: str) -> int:
        return self.db[collection].count_documents({"device_id": {"$gte": prefix, "$lt": prefix + "~"}})

    def _live(self) -> None:
        """A dashboard is told of a reading."""
        browser = Browser(self.stack.settings.realtime_port).connect()
        sender = Sender(self.stack.links["devices"].port, "viewed")
        try:
            browser.subscribe(VIEWED)
            body = f'{{"id":"{VIEWED}","ua":230.5,"time":"{stamp(int(time.time()))}","isend":"1"}}'
            sender.send(RT, body, None)
            told = browser.next("reading", PATIENCE)
            assert [reading["device_id"] for reading in told] == [VIEWED], told
        finally:
            sender.close()
            browser.close()

    def _rollups(self) -> None:
        """Let each tier be run twice more with nothing coming in, then compute everything again, slowly."""
        for _ in range(2):
            self._run_tiers()
        for name in TYPES:
            datatype = get_registry()[name]
            collections = (datatype.collection, *(tier.prefix + datatype.collection for tier in datatype.tiers))
            devices = sorted({device for name in collections for device in self.db[name].distinct("device_id")})
            for first in range(0, len(devices), AT_ONCE):
                some = devices[first : first + AT_ONCE]
                self.report.buckets += check_type(
                    self.db, datatype, self.stack.settings, datetime.now(UTC), devices=some
                )

    def _run_tiers(self) -> None:
        since = datetime.now(UTC)
        plans = {plan.name: plan for plan in all_plans(get_registry(), self.stack.settings)}

        def done() -> bool:
            ran = {str(state["_id"]) for state in self.db.rollup_watermarks.find({"ran_at": {"$gt": since}})}
            with redis.Redis.from_url(self.stack.valkey.url) as connection:
                for name, plan in plans.items():
                    if name not in ran or self._marked(plan):
                        push(connection, rollup_entry(plan))
            return ran >= plans.keys() and not self.db[INVALIDATIONS].count_documents({})

        wait_until(done, ROLLUP_PATIENCE, every=0.5)
        failed = list(self.db.rollup_watermarks.find({"error": {"$nin": ["", None]}}))
        assert not failed, f"tiers that failed: {failed[:3]}"

    def _marked(self, plan: TierPlan) -> bool:
        return self.db[INVALIDATIONS].find_one({"type": plan.datatype.name, "prefix": plan.tier.prefix}) is not None

    def _leaks(self, watch: Listening) -> None:
        self.stack.wait_well()
        # A job that runs just now is a child of the worker, and no leak: it is looked for until there is none.
        end = time.monotonic() + PATIENCE
        while (leaks := watch.leaks()) and time.monotonic() < end:
            time.sleep(0.2)
        self.report.trouble += leaks
        for name, held in watch.look().items():
            self.report.held[name] = (watch.calm[name], watch.most.get(name, 0), held)


class Sending:
    """The generator's process and its record. Leaving it ends the process."""

    def __init__(self, stack: Stack, plan: Plan, rate: float, *, gateways: int = 0) -> None:
        path = stack.home / f"record-{plan.prefix}"
        self.plan = plan
        self.record = Record(path, 2 * plan.frames, create=True)
        self.errors = path.with_suffix(".log")
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tools.chaos.generator"),
                    *("--port", str(stack.links["devices"].port), "--plan", json.dumps(asdict(plan))),
                    *("--tcp-port", str(stack.settings.tcp_port), "--gateways", str(gateways)),
                    *("--record", str(path), "--rate", str(rate)),
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def __enter__(self) -> Sending:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    @property
    def acked(self) -> int:
        return self.record.read()[1]

    def wait_for(self, acked: int) -> None:
        """Wait until so many frames are acknowledged."""
        before, since = -1, time.monotonic()
        while (now := self.acked) < acked:
            assert self.process.poll() is None, self.errors.read_text()
            if now != before:
                before, since = now, time.monotonic()
            assert time.monotonic() - since < PATIENCE, f"the broker takes nothing, {now} acknowledged"
            time.sleep(0.02)

    def finish(self) -> dict[str, Any]:
        """Wait until everything is sent and acknowledged; what the generator says."""
        self.wait_for(self.plan.frames)
        output, _ = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, self.errors.read_text()
        said: dict[str, Any] = json.loads(output)
        return said
