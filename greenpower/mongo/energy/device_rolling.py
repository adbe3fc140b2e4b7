"""One device and stretch, rolled up with as much around it as its fields need.

What belongs here: reading more samples of one device, in stages, until nothing more is needed. What does not: many
devices at once (`around`), what the samples mean (`greenpower.measure`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pymongo.collection import Collection

from greenpower.measure.column import is_number
from greenpower.measure.counter.hold import Carry
from greenpower.measure.held_block import KINDS_THAT_HOLD
from greenpower.measure.reading_table import ReadingTable, TablePayloads
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import NO_DECISIONS
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected_neighbours
from greenpower.mongo.energy.before import Before, RollContext
from greenpower.mongo.energy.carries import find_carries
from greenpower.mongo.energy.leads import Leads
from greenpower.mongo.energy.oldest import OldestOf
from greenpower.mongo.readings.clock_mark import BY_ARRIVAL

# How many samples of a counter are read before a stretch, and behind it, where it needs more.
STAGES_BEFORE = (64, 1_000)
STAGES_AFTER = (4, 64, 1_000)
UNKNOWN = object()


class DeviceRolling:
    """One device and stretch, rolled up again with more around it until nothing more is needed."""

    def __init__(
        self,
        context: RollContext,
        source: Collection[Document],
        device: str,
        before: Before,
        inside: Sequence[Document],
        stretch: tuple[datetime, datetime],
        length: int,
        oldest: OldestOf,
        *,
        slots: bool,
    ) -> None:
        self.context, self.source, self.device = context, source, device
        self.known, self.inside = before, inside
        self.begin, self.end = stretch
        self.length, self.oldest, self.slots = length, oldest, slots
        self.further: dict[str, list[Document]] = {}
        self.following: dict[str, list[Document]] = {}
        self.before: Sequence[Document] = before.readings
        self.after: Sequence[Document] = ()
        self.leads = before.leads
        self.looked_for: set[str] = set()
        # Counters that had something open lately, as the ledger tells.
        self.held: set[str] = set()
        self.accepted = context.accept(device, ())
        self.carries: dict[str, Carry | None] = {}
        # Whether the first roll waits for more samples; whether those of a counter lie before what is read as a whole.
        self.may_wait = self.is_far = False
        if not before.readings:
            self.carries = {**dict.fromkeys(context.spec.counters), **before.registers}

        if before.leads is not None and before.leads.samples:
            self._add_leads(before.leads)

    def _add_leads(self, leads: Leads) -> None:
        self.leads = leads
        self.further |= {name: [reading] for name, reading in leads.samples.items()}
        self.before = _joined(self.known.readings, self.further)

    def unknown(self, names: Iterable[str]) -> set[str]:
        """Those fields that there may be a sample before of, and nobody has looked for it."""
        if self.leads is None or len(self.leads.times) <= len(self.known.readings):
            return set()
        return set(names) - self.looked_for

    def lacking(self) -> set[str]:
        """The fields that the first reading has and those before it have not, as far as they hold."""
        if self.leads is None or not self.inside:
            return set()
        names = set(self.inside[0]["payload"])
        if self.known.readings:
            names -= self.known.readings[-1]["payload"].keys()
        if not names:
            return set()
        names -= {name for reading in self.known.readings for name in reading["payload"]}
        spec = self.context.spec
        return self.unknown(name for name in names if spec.kind(name) in KINDS_THAT_HOLD and name not in spec.refused)

    def lead(self, names: Iterable[str], leads: Leads) -> None:
        """Take the samples before that were found of some fields."""
        self.looked_for.update(names)
        if leads.times:
            samples = {**leads.samples, **(self.leads.samples if self.leads is not None else {})}
            self._add_leads(replace(leads, samples=samples))

    def begun(self) -> Rolled:
        """Rolled up with what is known; counters that are `short` are left out where all can wait for more."""
        wanted = self.held.union(*(bucket.get("holds", ()) for bucket in self.known.buckets[-1:]))
        if wanted:
            self._read_before(wanted, STAGES_BEFORE[0])
        self.may_wait = bool(self.known.readings) and not wanted
        rolled = self._roll(leave_short=self.may_wait)
        if rolled.unknown and (accepted := self.context.accept(self.device, rolled.unknown)) != self.accepted:
            self.accepted = accepted
            rolled = self._roll(leave_short=self.may_wait)
        return rolled

    def waits(self, rolled: Rolled) -> bool:
        """Whether what is left out needs more samples before."""
        return self.may_wait and bool(rolled.short)

    def finished(self, rolled: Rolled, more: tuple[Sequence[Document] | None, Sequence[Document]] | None) -> Rolled:
        """Rolled up with as much around it as it needs. more: the newest readings and buckets, where it waits."""
        if more is not None:
            readings, buckets = more
            names = frozenset(rolled.short)
            self._read_before(names, STAGES_BEFORE[0], readings, buckets)
            if not self.is_far:
                rolled.add(self._roll(readings, only=names))
            else:
                rolled = self._roll()
        if self.known.readings:
            for limit in STAGES_BEFORE if more is None else STAGES_BEFORE[1:]:
                if not rolled.short or not self._read_before(rolled.short, limit):
                    break
                rolled = self._roll()
        for limit in STAGES_AFTER:
            if not rolled.open or not self._read_after(rolled.open, limit):
                break
            rolled = self._roll()
        final = {time for time in rolled.resettle if self._is_final(time)}
        rolled.revisit -= final
        rolled.resettle -= final
        return rolled

    def _is_final(self, time: datetime) -> bool:
        """Whether a sample before the stretch lies in a bucket that nothing changes any more."""
        length = timedelta(seconds=self.length)
        return any(
            bucket["final"] and bucket["timestamp"] <= time < bucket["timestamp"] + length
            for bucket in self.known.buckets
        )

    def _roll(
        self,
        before: Sequence[Document] | None = None,
        *,
        only: frozenset[str] | None = None,
        leave_short: bool = False,
    ) -> Rolled:
        context, inside = self.context, self.inside
        early = self.before if before is None else before
        times, payloads, arrivals = _parts(inside)
        known = None if self.leads is None else [*self.leads.times, *times]
        if early or self.after:
            (times_before, before_it, arrived), (times_after, after_it, came) = _parts(early), _parts(self.after)
            times = [*times_before, *times, *times_after]
            arrivals = [*arrived, *arrivals, *came]
            if isinstance(inside, ReadingTable):
                payloads = TablePayloads(before_it, inside, after_it)
            else:
                payloads = [*before_it, *payloads, *after_it]
        return roll(
            times,
            payloads,
            begin=self.begin,
            end=self.end,
            length=self.length,
            spec=context.spec,
            settled_before=context.settled_before,
            decisions=context.decisions.get(self.device, NO_DECISIONS),
            accepted=self.accepted,
            carries=self.carries,
            arrivals=arrivals if any(arrivals) else None,
            stale_after=context.datatype.stale_after,
            power=context.powers.get(self.device),
            zone=context.zones.of(self.device),
            slots=self.slots,
            known=known,
            holds={} if self.leads is None else self.leads.holds,
            only=only,
            leave_short=leave_short,
        )

    def _neighbours(
        self, limit: int, fields: Sequence[str], *, before: bool, having: str | None = None
    ) -> list[Document]:
        return corrected_neighbours(
            self.source,
            self.device,
            self.begin if before else self.end,
            limit,
            before=before,
            fields=fields,
            corrections=self.context.corrections,
            having=having,
        )

    def _read_before(
        self,
        names: Iterable[str],
        limit: int,
        found: Sequence[Document] | None = None,
        buckets: Sequence[Document] | None = None,
    ) -> bool:
        """Read so many samples of counters before the stretch. Returns whether that tells anything new. found: the
        newest readings, buckets: the newest of the tier, where they are read already."""
        names = sorted(names)
        if found is None:
            found = self._neighbours(limit, names, before=True)
        samples: dict[str, list[Document]] = {}
        complete = set()
        for name in names:
            samples[name] = [document for document in found if is_number(document["payload"].get(name))]
            if len(found) < limit:
                complete.add(name)
            elif len(samples[name]) < limit // 2:
                one = self._neighbours(limit, (name,), before=True, having=name)
                samples[name], self.is_far = one, True
                if len(one) < limit:
                    complete.add(name)
        carries = find_carries(
            self.context.db,
            self.context.datatype,
            self.context.tier,
            self.device,
            self.begin,
            {name: [document["timestamp"] for document in part] for name, part in samples.items()},
            complete,
            self.oldest,
            buckets,
        )
        news = any(carry != self.carries.get(name, UNKNOWN) for name, carry in carries.items())
        news |= any(len(part) > len(self.further.get(name, ())) for name, part in samples.items())
        self.carries |= carries
        self.further |= samples
        self.before = _joined(self.known.readings, self.further)
        return news

    def _read_after(self, names: Iterable[str], limit: int) -> bool:
        """As `_read_before`, behind the stretch."""
        names = sorted(names)
        found = self._neighbours(limit, names, before=False)
        samples: dict[str, list[Document]] = {}
        for name in names:
            samples[name] = [document for document in found if is_number(document["payload"].get(name))]
            if len(found) == limit and len(samples[name]) < limit // 2:
                samples[name] = self._neighbours(limit, (name,), before=False, having=name)
        news = any(len(part) > len(self.following.get(name, ())) for name, part in samples.items())
        self.following |= samples
        self.after = _joined((), self.following)
        return news


def _parts(readings: Sequence[Document]) -> tuple[Sequence[datetime], Sequence[Document], list[bool]]:
    """The times and payloads of readings, and whether each has the time of its arrival."""
    if isinstance(readings, ReadingTable):
        arrivals = [readings.clock in BY_ARRIVAL] * len(readings)
        return readings.times, TablePayloads((), readings, ()), arrivals
    return (
        [reading["timestamp"] for reading in readings],
        [reading["payload"] for reading in readings],
        [reading.get("clock") in BY_ARRIVAL for reading in readings],
    )


def _joined(whole: Sequence[Document], samples: Mapping[str, Sequence[Document]]) -> list[Document]:
    """Readings in order of time; of those that are not known as a whole, the fields that were asked for."""
    known = {document["timestamp"] for document in whole}
    parts: dict[datetime, Document] = {}
    for name, documents in samples.items():
        for document in documents:
            time = document["timestamp"]
            if time not in known:
                part = parts.get(time)
                if part is None:
                    part = parts[time] = {"timestamp": time, "payload": {}, "clock": document.get("clock")}
                part["payload"][name] = document["payload"][name]
    if not parts:
        return list(whole)
    return sorted([*whole, *parts.values()], key=_time)


def _time(document: Mapping[str, Any]) -> datetime:
    time: datetime = document["timestamp"]
    return time
