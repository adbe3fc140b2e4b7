"""Corrections of samples, rolled up: as if never sent, or sent multiplied; and gone without a trace when withdrawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.measure.correction import SampleCorrection, correct
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections.document import CorrectionDocument, CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create, revoke
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.schema.layout import (
    CORRECTIONS,
    ENERGY_DAYS,
    INCIDENTS,
    INTERVALS,
    INVALIDATIONS,
    ensure_indexes,
)
from tests.rollups.world import ENERGY, POWER, World

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
T0 = NOW - timedelta(hours=20)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
DATATYPES = (POWER, ENERGY)
#: What says when a document was written, not what it says.
STAMPS = ("_id", "as_of", "updated_at", "found_at")
Row = tuple[datetime, dict[str, Any]]
Before = Callable[["CorrectedWorld"], object]


class CorrectedWorld(World):
    """A world with corrections."""

    def correct(self, kind: CorrectionKind, begin: datetime, end: datetime | None, **more: Any) -> CorrectionDocument:
        values = {"type": "power", "device_id": "M1", "field": "c", "reason": "why", "made_by": "ann", **more}
        made = create(self.db[CORRECTIONS], NewCorrection(kind=kind, begin=begin, end=end, **values))
        self.touch()
        return made

    def withdraw(self, correction: CorrectionDocument) -> None:
        revoke(self.db[CORRECTIONS], correction["_id"], "bob", "")
        self.touch()

    def touch(self) -> None:
        assert invalidate_changed_corrections(self.db, DATATYPES, self.settings) == 1
        assert self.db[CORRECTIONS].find_one({"changed": {"$exists": True}}) is None

    def roll(self) -> None:
        for _ in range(10):
            self.run()
            if not self.db[INVALIDATIONS].find_one():
                return
        raise AssertionError(list(self.db[INVALIDATIONS].find()))

    def everything(self) -> dict[str, list[Document]]:
        """All that rollups made, but for when; incidents that no longer apply left out."""
        names = [tier.prefix + datatype.collection for datatype in DATATYPES for tier in datatype.tiers if tier.window]
        found = {}
        for name in (*names, INTERVALS, ENERGY_DAYS, INCIDENTS):
            query = {"current": True} if name == INCIDENTS else {}
            documents = [_plain(document) for document in self.db[name].find(query)]
            found[name] = sorted((one for one in documents if one is not None), key=repr)
        return found


def _plain(document: Document) -> Document | None:
    """A document without stamps; None for a day or month of the ledger without anything."""
    plain = {name: value for name, value in document.items() if name not in STAMPS}
    slots = plain.get("slots", plain)
    return None if "flags" in slots and not slots["flags"] else plain


@pytest.fixture
def world(settings: Settings) -> Iterator[CorrectedWorld]:
    with sync_client(settings) as client:
        yield make_world(client[settings.mongo_db_name], settings)


def make_world(db: Database[Document], settings: Settings) -> CorrectedWorld:
    ensure_indexes(db, DATATYPES, settings)
    return CorrectedWorld(db, settings, NOW)


def ordinary(random: Random, every: timedelta) -> list[Row]:
    """Readings of hours: a gauge, an angle, a state and two counters, and things that happen to them."""
    rows: list[Row] = []
    c, d, time = 100.0, 50.0, T0
    while time < NOW - 2 * MINUTE:
        c, d = round(c + random.choice((0, 0.1, 0.2, 0.4)), 3), round(d + random.choice((0, 0.5)), 3)
        event = random.random()
        if event < 0.02:
            c = round(random.choice((c * 1000, c - 0.01, 0.2, c + 3000)), 3)
        shown = random.choice((0.0, c * 9)) if 0.02 < event < 0.05 else c
        row = {"g": round(random.uniform(0, 9), 2), "a": random.uniform(0, 360), "s": random.choice((1, 2)), "d": d}
        if random.random() < 0.95:
            row["c"] = shown
        rows.append((time, row))
        time += every if random.random() < 0.95 else every * random.randint(2, 12)
    return rows


def as_if(rows: Sequence[Row], correction: SampleCorrection) -> list[Row]:
    """The readings that a device would have sent, were the correction true."""
    readings = [{"timestamp": time, "payload": row} for time, row in rows]
    return [(one["timestamp"], one["payload"]) for one in correct(readings, [correction])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A correction to try. begin, end: hours after the first reading."""

    kind: CorrectionKind
    begin: float
    end: float | None
    field: str = "c"
    factor: float | None = None


EXCLUSION, FACTOR = CorrectionKind.EXCLUSION, CorrectionKind.FACTOR
FORMS = (
    Form(kind=EXCLUSION, begin=5, end=9.37),
    Form(kind=EXCLUSION, begin=7.25, end=9.1),
    Form(kind=EXCLUSION, begin=10, end=None, field="d"),
    Form(kind=EXCLUSION, begin=3, end=6, field="g"),
    Form(kind=EXCLUSION, begin=0, end=None, field="a"),
    Form(kind=EXCLUSION, begin=18.5, end=None),
    Form(kind=FACTOR, begin=8, end=None, factor=0.001),
    Form(kind=FACTOR, begin=4.1, end=12, factor=1000),
    Form(kind=FACTOR, begin=4.1, end=12, factor=0.5, field="g"),
    Form(kind=FACTOR, begin=0, end=None, factor=3, field="d"),
)


QUICK = {0, 3, 6}
TRIED = [
    pytest.param(form, seed, marks=() if seed == 1 and number in QUICK else pytest.mark.slow)
    for seed in (1, 2)
    for number, form in enumerate(FORMS)
]


@pytest.mark.parametrize(("form", "seed"), TRIED)
def test_as_if_it_had_been_sent_so_and_no_trace_when_withdrawn(settings: Settings, form: Form, seed: int) -> None:
    """Made after the rollups; the same before them; withdrawn: what was there before, bit for bit."""
    rows = ordinary(Random(seed), timedelta(minutes=6))
    begin, end = T0 + form.begin * HOUR, None if form.end is None else T0 + form.end * HOUR
    one = SampleCorrection(field=form.field, begin=begin, end=end, factor=form.factor)
    more = {"field": form.field, **({} if form.factor is None else {"factor": form.factor})}
    with sync_client(settings) as client:

        def make(
            name: str, given: list[Row], before: Callable[[CorrectedWorld], object] = lambda world: None
        ) -> CorrectedWorld:
            name = f"{settings.mongo_db_name}_{name}"
            client.drop_database(name)
            world = make_world(client[name], settings)
            world.store(POWER, "M1", given)
            world.store(POWER, "M2", rows[::7])
            before(world)
            world.roll()
            return world

        world = make("after", rows)
        at_first = world.everything()
        made = world.correct(form.kind, begin, end, **more)
        world.roll()
        corrected = world.everything()
        assert corrected != at_first
        sent_so = make("sent", as_if(rows, one)).everything()
        for name, documents in sent_so.items():
            assert corrected[name] == documents, name
        early = make("early", rows, lambda world: world.correct(form.kind, begin, end, **more))
        assert early.everything() == sent_so
        world.withdraw(made)
        world.roll()
        assert world.everything() == at_first
        for name in ("after", "sent", "early"):
            client.drop_database(f"{settings.mongo_db_name}_{name}")
