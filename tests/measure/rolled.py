"""`greenpower.measure` on a series of one counter, as the plain recomputation takes it. For tests of the rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.bucket import Bucket, merge_buckets
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.rules import Limits, OperatorDecision, Swap
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import Spec
from greenpower.measure.stored_block import read_blocks
from tests.measure.plain_series import PlainMeter
from tests.measure.series import Series

T0 = datetime(2026, 11, 2, tzinfo=UTC)
ALWAYS = datetime(2100, 1, 1, tzinfo=UTC)
FIELD = "e"


def spec_of(meter: PlainMeter) -> Spec:
    """The spec of a counter that is declared like this."""
    kind = Kind(meter.kind)
    net, daily = kind is Kind.NET, kind is Kind.DAILY
    limits = Limits(modulus=meter.modulus, rate=meter.rate, floor=meter.floor, net=net, daily=daily)
    return Spec(kinds={FIELD: kind}, limits={FIELD: limits})


def rolled(
    series: Series,
    meter: PlainMeter,
    *,
    length: int,
    begin: datetime | None = None,
    end: datetime | None = None,
    first: int = 0,
    last: int | None = None,
    carries: Mapping[str, Carry | None] | None = None,
    slots: bool = True,
) -> Rolled:
    """The buckets of `[begin, end)`, from the samples number `first` to `last` only."""
    samples = series.samples[first:last]
    swaps = tuple(Swap(at=swap.at, last=swap.last, first=swap.first) for swap in series.swaps)
    verdicts = {at: verdict == "confirmed" for at, verdict in meter.verdicts.items()}
    more: dict[str, Any] = {} if carries is None else {"carries": carries}
    return roll(
        [time for time, _ in samples],
        [{FIELD: value} for _, value in samples],
        begin=begin or T0 - timedelta(days=1),
        end=end or T0 + timedelta(days=4000),
        length=length,
        spec=spec_of(meter),
        settled_before=ALWAYS,
        decisions={FIELD: OperatorDecision(swaps=swaps, verdicts=verdicts)},
        arrivals=[time in series.arrivals for time, _ in samples],
        stale_after=meter.stale_after,
        slots=slots,
        power=meter.power,
        zone=meter.zone,
        **more,
    )


def documents(buckets: Sequence[Bucket]) -> list[dict[str, Any]]:
    """Buckets as they are stored."""
    return [document(bucket) for bucket in buckets]


def document(bucket: Bucket) -> dict[str, Any]:
    """A bucket as it is stored."""
    return {"timestamp": bucket.start, **bucket.to_document(), "final": bucket.settled}


def merge_stored(parts: Sequence[Mapping[str, Any]], start: datetime, spec: Spec) -> Bucket:
    """Stored buckets as one, for registers, which the length of windows does not matter to."""
    return merge_buckets(parts, start, spec, length=3_600, settled_before=ALWAYS)


def states(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The states of all fields of a stored bucket."""
    blocks = [block for block, _ in read_blocks(stored)]
    held = {
        name: block.columns.state(place, block.timing.n) for block in blocks for place, name in enumerate(block.names)
    }
    return {**stored["stats"], **held}
