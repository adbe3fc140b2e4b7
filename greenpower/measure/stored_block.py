"""How blocks and timings are stored in a bucket's document. The one place that knows it.

```
blocks:   [{fields: "a b c", data, kind?, timing?}]
coverage: {count, first, last, seconds, held, hold, lead_until?}
```
data: the columns of the block one after the other, in the order that the kind keeps them, as little-endian doubles; a
list where a double does not hold a number exactly. The values before come last, where `lead_until` is known. kind: left
out for gauges. timing: as `coverage`, left out where it is the same. seconds: how much of the window the values hold.
Coverage without `held` is that of a bucket from before means were over time, or of one that such a bucket is in; the
states of their gauges and angles are documents in `stats`.

What does not belong here: what the numbers mean (`gauge`, `angle`, `timing`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.held_block import HELD_COLUMNS, HeldBlock
from greenpower.measure.state import Number
from greenpower.measure.timing import Timing

StoredDocument = dict[str, Any]
KNOWN_FIELD_SETS = 1_024
BYTES_PER_NUMBER = struct.calcsize("<d")


def timing_document(timing: Timing, seconds: float) -> StoredDocument:
    """A timing as it is stored. seconds: how much of the window its values hold."""
    document: StoredDocument = {
        "count": timing.n,
        "first": timing.first_at,
        "last": timing.last_at,
        "seconds": seconds,
        "held": timing.held,
        "hold": timing.hold,
    }
    if timing.lead_until is not None:
        document["lead_until"] = timing.lead_until
    return document


def read_timing(document: Mapping[str, Any]) -> Timing | None:
    """A stored timing; None where the times are not known."""
    if "held" not in document:
        return None
    return Timing(
        document["count"],
        document["first"],
        document["last"],
        document["held"],
        document["hold"],
        document.get("lead_until"),
    )


def block_document(block: HeldBlock, shared: Timing | None, seconds: float) -> StoredDocument:
    """A block as it is stored. shared: the timing of the bucket; seconds: how much of the window the block's holds."""
    columns = block.columns.columns(block.timing.n)
    leads = block.columns.leads
    document: StoredDocument = {
        "fields": " ".join(block.names),
        "data": _pack(columns if leads is None else (*columns, leads)),
    }
    if block.kind is not Kind.GAUGE:
        document["kind"] = block.kind.value
    if block.timing != shared:
        document["timing"] = timing_document(block.timing, seconds)
    return document


def read_blocks(document: Mapping[str, Any]) -> Iterator[tuple[HeldBlock, float]]:
    """The blocks of a stored bucket, and for how many seconds of its window the values of each hold."""
    for stored in document.get("blocks", ()):
        place = stored.get("timing") or document["coverage"]
        timing = read_timing(place)
        assert timing is not None
        kind = Kind(stored.get("kind", Kind.GAUGE))
        names = _names(stored["fields"])
        restored = _restored(HELD_COLUMNS[kind], timing, _unpack(stored["data"], len(names)))
        yield HeldBlock(kind, names, timing, restored), place["seconds"]


def merge_same_fields(
    documents: Sequence[Mapping[str, Any]], timings: Sequence[Timing], merged: Timing, gaps: Sequence[float]
) -> list[HeldBlock] | None:
    """The blocks of a stretch from the stored buckets of adjacent windows, in order, where all have the same fields,
    with the times of their readings; None otherwise. merged, gaps: of the timings, as `merge_timings` gives them.

    As `merge_blocks` merges them, in half the time: most devices send all their fields with each reading.
    """
    shape = [(stored["fields"], stored.get("kind", Kind.GAUGE)) for stored in documents[0].get("blocks", ())]
    for document in documents:
        blocks = document.get("blocks", ())
        if [(stored["fields"], stored.get("kind", Kind.GAUGE)) for stored in blocks] != shape:
            return None
        if any("timing" in stored for stored in blocks):
            return None
    found = []
    for number, (fields, kind) in enumerate(shape):
        names = _names(fields)
        data = [document["blocks"][number]["data"] for document in documents]
        columns = _merge_columns(HELD_COLUMNS[Kind(kind)], data, len(names), timings, merged, gaps)
        found.append(HeldBlock(Kind(kind), names, merged, columns))
    return found


def _merge_columns(
    make: Any,
    data: Sequence[bytes | list[Number]],
    width: int,
    timings: Sequence[Timing],
    merged: Timing,
    gaps: Sequence[float],
) -> Any:
    every = [_unpack(one, width) for one in data]
    leads = None if merged.lead_until is None else every[0][-1]
    if merged.n == len(data) > 1:
        # One sample each: at once, field by field.
        return make.of_singles(list(zip(*[columns[0] for columns in every], strict=True)), gaps, leads)
    parts = [_restored(make, timing, columns) for timing, columns in zip(timings, every, strict=True)]
    return make.merged(parts, gaps) if len(parts) > 1 else parts[0]


def _restored(make: Any, timing: Timing, columns: list[Sequence[Number]]) -> Any:
    leads = None if timing.lead_until is None else columns.pop()
    return make.restored(timing.n, columns, leads)


@lru_cache(maxsize=KNOWN_FIELD_SETS)
def _names(fields: str) -> tuple[str, ...]:
    """The names of a block: one tuple for all that have the same, which is quick to compare."""
    return tuple(fields.split(" "))


def _pack(columns: Iterable[Sequence[Number]]) -> bytes | list[Number]:
    numbers = tuple(chain.from_iterable(columns))
    form = f"<{len(numbers)}d"
    data = struct.pack(form, *numbers)
    return data if struct.unpack(form, data) == numbers else list(numbers)


def _unpack(data: bytes | list[Number], width: int) -> list[Sequence[Number]]:
    numbers: Sequence[Number]
    numbers = data if isinstance(data, list) else struct.unpack(f"<{len(data) // BYTES_PER_NUMBER}d", data)
    return [numbers[first : first + width] for first in range(0, len(numbers), width)]
