"""Buckets: what is kept of one device and one window. Made from readings by `roll`, from finer buckets here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from greenpower.datatype import Kind
from greenpower.measure.counter.hold import Hold
from greenpower.measure.held_block import HELD_COLUMNS, HeldBlock, merge_blocks
from greenpower.measure.kinds import STATES_OF
from greenpower.measure.spec import Spec
from greenpower.measure.state import Number, State
from greenpower.measure.stored_block import (
    block_document,
    merge_same_fields,
    read_blocks,
    read_timing,
    timing_document,
)
from greenpower.measure.timing import Timing, merge_timings, seconds_within
from greenpower.measure.windows import floor

# What the states of registers have: falls can be open at their end.
HOLDING_KEY = STATES_OF[Kind.COUNTER].key


@dataclass(slots=True)
class Bucket:
    """A bucket.

    payload: {field: the number that stands for it}. stats: {field: state}, but for gauges and angles, which are in
    blocks. holds: {field: the fall that is open at its end}. count, first, last: how many readings, and the times of
    the first and the last. timing: theirs; None where it is not known. seconds: how much of the window values hold.
    settled: no later sample can change a counter of it.
    """

    start: datetime
    count: int
    first: datetime
    last: datetime
    payload: dict[str, Number] = field(default_factory=dict)
    stats: dict[str, State] = field(default_factory=dict)
    blocks: list[tuple[HeldBlock, float]] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    timing: Timing | None = None
    seconds: float = 0.0
    settled: bool = True

    def put(self, name: str, kind: Kind, state: State) -> None:
        """Add a field."""
        self.stats[name] = state
        value = STATES_OF[kind].value(state)
        if value is not None:
            self.payload[name] = value

    def put_blocks(
        self, timing: Timing | None, blocks: Iterable[HeldBlock], length: int, settled_before: datetime
    ) -> None:
        """Add the gauges and angles, and the timing of the readings. length: of the window, in seconds. The last values
        hold on in it if it ends before readings are still expected: as `roll` has it."""
        end = self.start + timedelta(seconds=length)
        over, whole = end <= settled_before, None
        self.timing = timing
        if timing is not None:
            whole = seconds_within(timing, self.start, end, over=over)
            self.seconds = whole.total
        for block in blocks:
            if whole is None or block.timing != timing:
                seconds = seconds_within(block.timing, self.start, end, over=over)
            else:
                seconds = whole
            self.blocks.append((block, seconds.total))
            values = block.values(seconds)
            if block.kind is Kind.GAUGE:
                self.payload.update(cast(Iterable[tuple[str, Number]], values))
            else:
                self.payload.update((name, value) for name, value in values if value is not None)

    def to_document(self) -> dict[str, Any]:
        """What is stored of a bucket but for whose it is and who wrote it when: payload, stats, blocks, coverage and,
        where there are open falls, holds."""
        timing = self.timing
        coverage: dict[str, Any] = {"count": self.count, "first": self.first, "last": self.last}
        return {
            "payload": self.payload,
            "stats": self.stats,
            "blocks": [block_document(block, timing, seconds) for block, seconds in self.blocks],
            "coverage": coverage if timing is None else timing_document(timing, self.seconds),
            **({"holds": {name: hold.to_document() for name, hold in self.holds.items()}} if self.holds else {}),
        }


def merge_buckets(
    documents: Sequence[Mapping[str, Any]], start: datetime, spec: Spec, *, length: int, settled_before: datetime
) -> Bucket:
    """The bucket of a window from the stored buckets of the windows that it consists of: at least one, in order.

    A state of a kind that its field no longer has is left out. length: of the window, in seconds. settled_before: as
    `roll` has it.
    """
    coverage = [document["coverage"] for document in documents]
    bucket = Bucket(
        start=start,
        count=sum(part["count"] for part in coverage),
        first=min(part["first"] for part in coverage),
        last=max(part["last"] for part in coverage),
        settled=all(document["final"] for document in documents),
    )
    timings = [timing for part in coverage if (timing := read_timing(part)) is not None]
    timing, gaps = merge_timings(timings) if len(timings) == len(coverage) else (None, [])
    blocks: list[list[HeldBlock]] | None = None
    names: dict[str, None] = {}
    for document in documents:
        names.update(dict.fromkeys(document["stats"]))
    for name in names:
        if name in spec.refused:
            continue
        kind = spec.kind(name)
        if kind in HELD_COLUMNS:
            if blocks is None:
                blocks = [[block for block, _ in read_blocks(document)] for document in documents]
            states = _timeless(name, kind, documents, blocks)
        else:
            key = STATES_OF[kind].key
            states = [state for document in documents if (state := document["stats"].get(name)) and key in state]
        if states:
            bucket.put(name, kind, STATES_OF[kind].merge(states))

    def kept(block: HeldBlock) -> HeldBlock | None:
        """A block with the fields that still are of its kind, and whose times are known everywhere."""
        left = spec.names_of_kind(block.kind, block.names)
        if bucket.stats:
            left = [name for name in left if name not in bucket.stats]
        return block if len(left) == len(block.names) else block.select(left) if left else None

    alike = merge_same_fields(documents, timings, timing, gaps) if timing is not None and blocks is None else None
    if alike is not None:
        merged = [same for block in alike if (same := kept(block))]
    else:
        if blocks is None:
            blocks = [[block for block, _ in read_blocks(document)] for document in documents]
        merged = merge_blocks([[same for block in part if (same := kept(block))] for part in blocks])
    bucket.put_blocks(timing, merged, length, settled_before)
    # What is open at the end is what the last one that has the field says.
    left = {name for name in bucket.stats if spec.kind(name).is_register}
    for document in reversed(documents):
        holds = document.get("holds", {})
        for name in [name for name in left if HOLDING_KEY in document["stats"].get(name, ())]:
            left.discard(name)
            if name in holds:
                bucket.holds[name] = Hold.from_document(holds[name])
        if not left:
            break
    return bucket


def _timeless(
    name: str, kind: Kind, documents: Sequence[Mapping[str, Any]], blocks: Sequence[Sequence[HeldBlock]]
) -> list[State]:
    """The states of a gauge or an angle of which some bucket does not know the times: without times, all of them."""
    key, states = STATES_OF[kind].key, list[State]()
    known = False
    for document, parts in zip(documents, blocks, strict=True):
        if (state := document["stats"].get(name)) and key in state:
            states.append(state)
            known = True
        for block in parts:
            if block.kind is kind and name in block.names:
                states.append(block.columns.state(block.names.index(name), block.timing.n))
    return states if known else []


def statistics_of(document: Mapping[str, Any]) -> dict[str, State]:
    """Of the gauges and angles of a stored bucket, by field: as `HeldBlock.statistics`; n, sum, min, max and mean where
    the times of their samples are not known."""
    found: dict[str, State] = {}
    for block, seconds in read_blocks(document):
        found |= block.statistics(seconds)
    for kind in HELD_COLUMNS:
        states_of = STATES_OF[kind]
        for name, state in document.get("stats", {}).items():
            if states_of.key in state:
                known = {key: state[key] for key in ("n", "sum", "min", "max") if key in state}
                found[name] = {**known, "mean": states_of.value(state)}
    return found


def by_window(documents: Iterable[Mapping[str, Any]], length: int) -> dict[datetime, list[Mapping[str, Any]]]:
    """Documents of one device, in order of time, by the start of the window that they lie in."""
    found: dict[datetime, list[Mapping[str, Any]]] = {}
    for document in documents:
        found.setdefault(floor(document["timestamp"], length), []).append(document)
    return found
