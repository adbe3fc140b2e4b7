"""Stamps of repeated hours: finding what a choice needs to know, and keeping other batches away meanwhile.

What belongs here: windows of stored readings, who may decide, readings that are moved. What does not: the rule
(`repeated_hour`). A frame outside such an hour never comes here.

Batches that decide on the same device go one after the other, whichever process they are in: from the look at what is
stored until their own readings and events are. A device that sends at once needs none of that: what it sent last tells
that the second pass has begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from greenpower.datatype import DataType, Kind
from greenpower.ingest.steps.clock import nearer
from greenpower.ingest.steps.repeat_window import Placed, Window
from greenpower.ingest.steps.repeated_hour import Question, choose
from greenpower.ingest.steps.repeated_stamp import Ask, Key, WindowKey
from greenpower.mongo.client import Document
from greenpower.mongo.devices import clocks
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.repeated import (
    invalidate_times,
    move_events,
    move_reading,
    newest_between,
    readings_between,
)
from greenpower.mongo.readings.store import Number
from greenpower.mongo.schema.layout import CLOCKS

log = logging.getLogger(__name__)

AGAIN_SECONDS = 0.02
MAX_LAST_SENT = 200_000
QUERIES_AT_ONCE = 50

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class LastSent:
    """The newest reading of a device in a repeated hour, and whether it came at once."""

    time: datetime
    payload: Mapping[str, Number]
    live: bool


@dataclass(slots=True)
class _Turn:
    """What one batch does: which devices it decides on, the windows it knows, readings to move with their old times."""

    owner: ObjectId
    devices: set[str]
    windows: dict[WindowKey, Window]
    moves: list[tuple[Ask, Placed, datetime]]
    first_in_process: bool = False


class RepeatedHours:
    """Chooses times in repeated hours. One per ingest process, or per replay.

    collection_of: where a type's readings are. alone: whether nothing else decides meanwhile, as in a replay, whose
    collection has neither events nor rollups. sent_before: the time and the values that a device sent last, stored yet
    or not.
    """

    def __init__(
        self,
        db: AsyncDatabase[Document],
        tolerance: timedelta,
        on_retry: Callable[[Exception], None] | None = None,
        *,
        collection_of: Callable[[DataType], AsyncCollection[Document]] | None = None,
        alone: bool = False,
        sent_before: Callable[[Key], tuple[datetime, Mapping[str, Number]] | None] = lambda _: None,
    ) -> None:
        self.db = db
        self.tolerance = tolerance
        self.alone = alone
        self._on_retry = on_retry
        self._sent_before = sent_before
        self._collection_of = collection_of or (lambda datatype: db[datatype.collection])
        self._last_sent: dict[Key, LastSent] = {}
        self._counters: dict[str, frozenset[str]] = {}
        self._queue = asyncio.Lock()  # the batches of this process decide in the order in which they came
        self._turns: WeakKeyDictionary[asyncio.Task[object], _Turn] = WeakKeyDictionary()

    async def begin(self, asks: Sequence[Ask], *, late: bool = False) -> None:
        """Look up what the choices need. What is chosen then stays the batch's own until `end`.

        late: whether the batch has readings of such hours that came late and need no choice: others must see them.
        """
        turn = self._turn()
        turn.windows.clear()
        if not turn.first_in_process and (late or not all(self._is_next(ask) for ask in asks)):
            await self._queue.acquire()
            turn.first_in_process = True
        await _each(self._find_last_sent(ask) for ask in _unlike(asks) if self._question(ask).live)
        wanted = [ask for ask in asks if not self._is_next(ask)]
        for device in sorted({ask.device for ask in wanted} - turn.devices):
            await self._begin_choosing(turn, device)
        await _each(self._find_window(turn, ask) for ask in _unlike(wanted))

    def choose(self, ask: Ask) -> datetime:
        """The time that a stamp means, by what is stored and what was chosen before in this batch."""
        window = self._turn().windows.get(ask.window)
        if self._is_next(ask):
            return ask.second
        if window is None:  # what it was to go on with has changed meanwhile
            return nearer(ask.first, ask.second, ask.item.arrival.received_at)
        choice = choose(self._question(ask), window)
        if (placed := choice.moved) is not None:
            new = ask.first if choice.time == ask.second else ask.second
            if placed.object_id is not None:
                self._turn().moves.append((ask, placed, placed.time))
            for item in placed.items:
                item.time = new
            window.move(placed, new)
        return choice.time

    def note(self, ask: Ask, time: datetime) -> None:
        """A reading of a repeated hour has this time."""
        item = ask.item
        window = self._turn().windows.get(ask.window)
        if window is not None:
            window.add(time, item)
        last = self._last_sent.get(ask.key)
        if last is None or time >= last.time or last.time >= ask.repeat.end:
            live = abs(item.arrival.received_at - time) <= self.tolerance
            self._remember(ask.key, LastSent(time, item.payload, live))

    async def move(self) -> None:
        """Move the stored readings that turned out to belong to the other time of their stamps."""
        turn = self._turn()
        while turn.moves:
            ask, placed, old = turn.moves[0]
            await until_written(partial(self._move, ask, placed, old), on_retry=self._on_retry)
            del turn.moves[0]

    async def end(self) -> None:
        """The batch is stored: others may decide. Never fails; a turn that is not ended runs out."""
        task = asyncio.current_task()
        turn = None if task is None else self._turns.pop(task, None)
        if turn is None:
            return
        try:
            if turn.devices:
                await clocks.end_choosing(self.db[CLOCKS], turn.devices, turn.owner)
        except PyMongoError as error:
            log.warning("repeated hours of %d devices stay reserved for a while: %.200s", len(turn.devices), error)
        finally:
            if turn.first_in_process:
                self._queue.release()

    def _turn(self) -> _Turn:
        task = asyncio.current_task()
        assert task is not None
        turn = self._turns.get(task)
        if turn is None:
            turn = self._turns[task] = _Turn(ObjectId(), set(), {}, [])
        return turn

    def _question(self, ask: Ask) -> Question:
        name = ask.datatype.name
        counters = self._counters.get(name)
        if counters is None:
            counters = frozenset(field.name for field in ask.datatype.fields if field.kind is Kind.COUNTER)
            self._counters[name] = counters
        return Question(
            payload=ask.item.payload,
            first=ask.first,
            second=ask.second,
            arrival=ask.item.arrival.received_at,
            counters=counters,
            dup=ask.item.arrival.dup,
            tolerance=self.tolerance,
        )

    def _is_next(self, ask: Ask) -> bool:
        """Whether it plainly goes on with what its device sent at once until now: then it is of the second pass."""
        last = self._last_sent.get(ask.key)
        if last is None or not last.live or not ask.first < last.time < ask.repeat.end:
            return False
        question = self._question(ask)
        return question.live and not question.dup and not question.falls(last.payload, question.payload)

    def _remember(self, key: Key, last: LastSent) -> None:
        if key not in self._last_sent and len(self._last_sent) >= MAX_LAST_SENT:
            del self._last_sent[next(iter(self._last_sent))]
        self._last_sent[key] = last

    async def _find_last_sent(self, ask: Ask) -> None:
        last = self._last_sent.get(ask.key)
        if last is not None and ask.first < last.time < ask.repeat.end:
            return
        collection = self._collection_of(ask.datatype)
        found = await self._read(lambda: newest_between(collection, ask.device, ask.repeat.begin, ask.repeat.end))
        if found is not None:
            live = abs(found["received_at"] - found["timestamp"]) <= self.tolerance
            self._remember(ask.key, LastSent(found["timestamp"], found["payload"], live))

    async def _find_window(self, turn: _Turn, ask: Ask) -> None:
        collection, repeat = self._collection_of(ask.datatype), ask.repeat
        sent = self._sent_before(ask.key)
        found = await self._read(lambda: newest_between(collection, ask.device, None, repeat.begin))
        stored = await self._read(lambda: readings_between(collection, ask.device, repeat.begin, repeat.end))
        before = None if found is None else _placed(found)
        # What this process takes to be stored may be in this batch, or in one in flight.
        if sent is not None and sent[0] < repeat.begin and (before is None or before.time < sent[0]):
            before = Placed(*sent, ask.item.arrival.received_at)
        turn.windows[ask.window] = Window(before, [_placed(document) for document in stored])

    async def _begin_choosing(self, turn: _Turn, device: str) -> None:
        if not self.alone:
            # Known as ours before it is: what fails or is cancelled on the way is ended, too.
            turn.devices.add(device)
            while not await self._read(lambda: clocks.begin_choosing(self.db[CLOCKS], device, turn.owner)):
                await asyncio.sleep(AGAIN_SECONDS)

    async def _move(self, ask: Ask, placed: Placed, old: datetime) -> None:
        new, device, name = placed.time, ask.device, ask.datatype.name
        assert placed.object_id is not None
        prefixes = [] if self.alone else [tier.prefix for tier in ask.datatype.tiers[:1]]
        # Before as well: killed after the write, nothing would say that what was rolled up is not right.
        for prefix in prefixes:
            await invalidate_times(self.db, name, prefix, device, (old, new))
        moved = await move_reading(self._collection_of(ask.datatype), device, placed.object_id, old, new)
        if moved and not self.alone:
            await move_events(self.db, name, device, placed.received_at, old, new)
        for prefix in prefixes:
            await invalidate_times(self.db, name, prefix, device, (old, new))

    async def _read(self, look: Callable[[], Awaitable[Found]]) -> Found:
        return await until_written(look, on_retry=self._on_retry)


async def _each(jobs: Iterable[Awaitable[None]]) -> None:
    """Some at a time, so that the many devices of a batch do not wait for one another."""
    waiting = list(jobs)
    for begin in range(0, len(waiting), QUERIES_AT_ONCE):
        await asyncio.gather(*waiting[begin : begin + QUERIES_AT_ONCE])


def _unlike(asks: Iterable[Ask]) -> list[Ask]:
    """One of each device, type and repeated hour."""
    return list({ask.window: ask for ask in asks}.values())


def _placed(document: Document) -> Placed:
    return Placed(document["timestamp"], document["payload"], document["received_at"], document["_id"])
