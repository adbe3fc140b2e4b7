"""The books after the faults: what was sent and acknowledged against what is stored, frame by frame."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.database import Database

from tools.chaos.clocks import Tick
from tools.chaos.plan import ENERGY, RT, Plan

Document = dict[str, Any]
COLLECTIONS = {RT: "grid_rt_data", ENERGY: "grid_eny_now_data"}
EVENTS = "telemetry_events"
MOST_EXAMPLES = 5


@dataclass(slots=True)
class Books:
    """What came of a plan. lost: acknowledged frames whose values are not stored; unbooked: frames with fewer events
    than acknowledgements; doubled: readings stored twice; wrong: values or stamps that differ; strange: never sent."""

    sent: int = 0
    readings: int = 0
    stored: int = 0
    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    strange: int = 0
    unbooked: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def balanced(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.strange or self.unbooked)

    def say(self, what: str) -> None:
        if len(self.examples) < MOST_EXAMPLES:
            self.examples.append(what)


def balance(db: Database[Document], plan: Plan, acked: bytes, *, lossy: bool = False) -> Books:
    """Hold every stored reading and every event against the plan. acked: how often each item was acknowledged.

    lossy: acknowledged packets may be missing, so a reading may be a part of what was sent, and nothing else.
    """
    books = Books(sent=sum(acked))
    _readings(db, plan, acked, books, lossy)
    _events(db, plan, acked, books)
    return books


def _readings(db: Database[Document], plan: Plan, acked: bytes, books: Books, lossy: bool) -> None:
    found = bytearray(plan.frames)
    wanted: set[tuple[str, str, int]] = set()
    for topic, name in COLLECTIONS.items():
        for device, time, payload in _stored(db, name, plan.prefix):
            number = plan.number(topic, device, round(time.timestamp()), 0)
            books.stored += 1
            if number < 0 or time.microsecond:
                books.strange += 1
                books.say(f"stored and never sent: {name} {device} {time}")
                continue
            books.doubled += found[number]
            found[number] = 1
            sent = plan.reading(number)
            if not (payload.items() <= sent.items() if lossy else payload == sent):
                books.wrong += 1
                books.say(f"values differ: {name} {device} {time}: {payload}, sent {sent}")
    for number in range(plan.frames):
        if not acked[number]:
            continue
        key = plan.reading_of(number)
        wanted.add(key)
        first = plan.number(*key, 0)
        if first < 0 or not found[first]:
            books.lost += 1
            books.say(f"acknowledged and not stored: frame {number}, {key}")
    books.readings = len(wanted)


def _events(db: Database[Document], plan: Plan, acked: bytes, books: Books) -> None:
    seen: Counter[int] = Counter()
    query = {"device_id": {"$gte": plan.prefix, "$lt": plan.prefix + "~"}}
    for event in db[EVENTS].find(query, {"_id": 0, "topic": 1, "raw": 1, "outcome": 1}):
        books.events += 1
        books.outcomes[event["outcome"]] += 1
        seen[plan.item_of(event["topic"], event["raw"])] += 1
    if seen[-1]:
        books.strange += seen[-1]
        books.say(f"{seen[-1]} events of frames that were never sent")
    for item, count in enumerate(acked):
        if count > seen[item]:
            books.unbooked += 1
            books.say(f"acknowledged {count} times, {seen[item]} events: item {item}")


def balance_clocks(db: Database[Document], ticks: Iterable[Tick]) -> Books:
    """The same for meters whose clocks step: each frame once, at its stamp where that is believed; where not, the
    spacing of each step's readings is that of its stamps."""
    books = Books()
    sent: dict[tuple[str, float], Tick] = {(tick.device, tick.number): tick for tick in ticks}
    books.sent = books.readings = len(sent)
    found: Counter[tuple[str, float]] = Counter()
    shifts: defaultdict[tuple[str, int, int], set[float]] = defaultdict(set)
    for device, time, payload in _stored(db, COLLECTIONS[RT], "33T"):
        key = (device, payload["pa"])
        books.stored += 1
        found[key] += 1
        tick = sent.get(key)
        if tick is None:
            books.strange += 1
            continue
        shift = time.timestamp() - tick.seconds
        if tick.is_believed:
            books.wrong += shift != 0
        else:
            shifts[tick.device, tick.step, tick.part].add(round(shift, 3))
    books.doubled = sum(count - 1 for count in found.values())
    books.lost = len(sent.keys() - found.keys())
    for step, several in shifts.items():
        if len(several) > 1:
            books.wrong += len(several) - 1
            books.say(f"one step of a clock, several offsets: {step}, {sorted(several)}")
    books.events = db[EVENTS].count_documents({"device_id": {"$gte": "33T", "$lt": "33T~"}})
    books.unbooked = max(0, books.sent - books.events)
    for key in [key for key in sent if found[key] != 1][:MOST_EXAMPLES]:
        books.say(f"stored {found[key]} times: {sent[key]}")
    return books


def _stored(db: Database[Document], name: str, prefix: str) -> Iterable[tuple[str, datetime, dict[str, float]]]:
    fields = {"_id": 0, "device_id": 1, "timestamp": 1, "payload": 1}
    for document in db[name].find({"device_id": {"$gte": prefix, "$lt": prefix + "~"}}, fields):
        yield document["device_id"], document["timestamp"], document["payload"]
