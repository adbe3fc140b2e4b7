"""What readings became: the result of rolling up a stretch of one device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from greenpower.measure.bucket import Bucket
from greenpower.measure.counter.counted import CounterEvent
from greenpower.measure.slot import Slot


@dataclass(slots=True)
class Rolled:
    """What readings became.

    buckets: in order of time. incidents: what happened to the counters, and those that began before and ended here.
    unknown: undeclared fields that are not accepted. short: counters whose numbers may depend on more samples before
    the stretch than were given. open: counters whose samples depend on what comes after the readings given. revisit:
    times of samples before those asked for that only these decided: their windows may change. resettle: those of them
    that need computing only if their bucket is not final. slots: by counter, the quarters that have an accepted sample,
    in order. leadless: gauges and angles of which no sample before the stretch was given.
    """

    buckets: list[Bucket] = field(default_factory=list)
    incidents: list[CounterEvent] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    revisit: set[datetime] = field(default_factory=set)
    resettle: set[datetime] = field(default_factory=set)
    slots: dict[str, Sequence[Slot]] = field(default_factory=dict)
    leadless: set[str] = field(default_factory=set)

    def add(self, further: Rolled) -> None:
        """Add the fields that were left out, rolled up from the same readings with more before them."""
        for bucket, other in zip(self.buckets, further.buckets, strict=True):
            bucket.stats |= other.stats
            bucket.payload |= other.payload
            bucket.holds |= other.holds
            bucket.settled = bucket.settled and other.settled
        self.incidents += further.incidents
        self.slots |= further.slots
        self.short, self.open = further.short, self.open | further.open
        must = (self.revisit - self.resettle) | (further.revisit - further.resettle)
        self.revisit |= further.revisit
        self.resettle = self.revisit - must
