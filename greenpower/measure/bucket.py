"""Buckets: what is kept of one device and one window. Made from readings by `roll`, from finer buckets here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.angle import angle_value, merge_angles
from greenpower.measure.counter.rules import OperatorDecision
from greenpower.measure.counter.state import counter_value, merge_counters
from greenpower.measure.gauge import gauge_value, merge_gauges
from greenpower.measure.spec import NO_DECISIONS, Spec
from greenpower.measure.state import Number, State, merge_states, state_value
from greenpower.measure.windows import floor

# The key by which a stored state shows its kind.
STATE_KEYS = {Kind.GAUGE: "sum", Kind.ANGLE: "sin", Kind.STATE: "at", Kind.COUNTER: "correction"}
VALUES: Mapping[Kind, Callable[[State], Number | None]] = {
    Kind.GAUGE: gauge_value,
    Kind.ANGLE: angle_value,
    Kind.STATE: state_value,
    Kind.COUNTER: counter_value,
}
MERGES: Mapping[Kind, Callable[[Sequence[State]], State]] = {
    Kind.GAUGE: merge_gauges,
    Kind.ANGLE: merge_angles,
    Kind.STATE: merge_states,
}


@dataclass(slots=True)
class Bucket:
    """A bucket.

    payload: {field: the number that stands for it}. stats: {field: state}. count, first, last: how many readings, and
    the times of the first and the last. settled: no later sample can change a counter of it.
    """

    start: datetime
    count: int
    first: datetime
    last: datetime
    payload: dict[str, Number] = field(default_factory=dict)
    stats: dict[str, State] = field(default_factory=dict)
    settled: bool = True

    def put(self, name: str, kind: Kind, state: State) -> None:
        """Add a field."""
        self.stats[name] = state
        value = VALUES[kind](state)
        if value is not None:
            self.payload[name] = value


def merge_buckets(
    documents: Sequence[Mapping[str, Any]],
    start: datetime,
    spec: Spec,
    decisions: Mapping[str, OperatorDecision] = NO_DECISIONS,
) -> Bucket:
    """The bucket of a window from the stored buckets of the windows that it consists of: at least one, in order.

    A state of a kind that its field no longer has is left out.
    """
    coverage = [document["coverage"] for document in documents]
    bucket = Bucket(
        start=start,
        count=sum(part["count"] for part in coverage),
        first=min(part["first"] for part in coverage),
        last=max(part["last"] for part in coverage),
        settled=all(document["final"] for document in documents),
    )
    names: dict[str, None] = {}
    for document in documents:
        names.update(dict.fromkeys(document["stats"]))
    for name in names:
        if name in spec.refused:
            continue
        kind = spec.kind(name)
        key = STATE_KEYS[kind]
        states = [state for document in documents if (state := document["stats"].get(name)) and key in state]
        if not states:
            continue
        if kind is Kind.COUNTER:
            bucket.put(name, kind, merge_counters(states, spec.rules(name, decisions)))
        else:
            bucket.put(name, kind, MERGES[kind](states))
    return bucket


def by_window(documents: Iterable[Mapping[str, Any]], length: int) -> dict[datetime, list[Mapping[str, Any]]]:
    """Documents of one device, in order of time, by the start of the window that they lie in."""
    found: dict[datetime, list[Mapping[str, Any]]] = {}
    for document in documents:
        found.setdefault(floor(document["timestamp"], length), []).append(document)
    return found
