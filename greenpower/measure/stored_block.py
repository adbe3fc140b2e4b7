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
        columns: list[Sequence[Number]] = _unpack(stored["data"], len(names))
        leads = None if timing.lead_until is None else columns.pop()
        restored = HELD_COLUMNS[kind].restored(timing.n, columns, leads)
        yield HeldBlock(kind, names, timing, restored), place["seconds"]


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
