"""Blocks: what is kept of the gauges, or of the angles, of a window that came together: one timing, columns by field.

Most devices send all their fields with every reading. So their times are kept once, and work is done by column. What
does not belong here: what the columns of a kind are (`gauge`, `angle`), how they are stored (`bucket_document`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.angle import AngleColumns
from greenpower.measure.gauge import GaugeColumns
from greenpower.measure.state import Number, State
from greenpower.measure.timing import Seconds, Timing, merge_timings

# Any, since each kind merges with its own only.
HELD_COLUMNS: Mapping[Kind, Any] = {Kind.GAUGE: GaugeColumns, Kind.ANGLE: AngleColumns}
# Of these a value holds until the next: what is before a stretch reaches into it.
KINDS_THAT_HOLD = frozenset({*HELD_COLUMNS, Kind.ENUMERATION})


@dataclass(slots=True)
class HeldBlock:
    """Fields of one kind whose samples have the same times. columns: of the kind, in the order of names."""

    kind: Kind
    names: tuple[str, ...]
    timing: Timing
    columns: Any

    def values(self, seconds: Seconds) -> Iterable[tuple[str, Number | None]]:
        """The number that stands for each field in a window. seconds: how much of it the values hold."""
        return zip(self.names, self.columns.values(self.timing.n, seconds), strict=True)

    def statistics(self, seconds: float) -> dict[str, State]:
        """By field: {n, sum, min, max (of gauges), mean (over the samples), seconds, first, first_at, last, last_at}.

        seconds: how much of the window the values hold, which the mean over time is of."""
        timing, columns, found = self.timing, self.columns, {}
        for place, name in enumerate(self.names):
            state = columns.state(place, timing.n)
            found[name] = {
                **{key: state[key] for key in ("n", "sum", "min", "max") if key in state},
                "mean": columns.mean(place, timing.n),
                "seconds": seconds,
                "first": columns.firsts[place],
                "first_at": timing.first_at,
                "last": columns.lasts[place],
                "last_at": timing.last_at,
            }
        return found

    def select(self, names: Sequence[str]) -> HeldBlock:
        """The same with some of the fields, in their order."""
        if tuple(names) == self.names:
            return self
        places = {name: place for place, name in enumerate(self.names)}
        pick = [places[name] for name in names]
        return HeldBlock(self.kind, tuple(names), self.timing, _map(self.columns, lambda column: _pick(column, pick)))

    def join(self, other: HeldBlock) -> HeldBlock:
        """With the fields of another block of the same kind and times."""
        pairs = zip(_values(self.columns), _values(other.columns), strict=True)
        columns = type(self.columns)(*[None if one is None or two is None else [*one, *two] for one, two in pairs])
        return HeldBlock(self.kind, self.names + other.names, self.timing, columns)


def joined(blocks: Iterable[HeldBlock]) -> list[HeldBlock]:
    """Blocks of one window, those of the same kind and times as one."""
    found: dict[tuple[Kind, Timing], HeldBlock] = {}
    for block in blocks:
        place = (block.kind, block.timing)
        found[place] = found[place].join(block) if place in found else block
    return list(found.values())


def merge_blocks(windows: Sequence[Sequence[HeldBlock]]) -> list[HeldBlock]:
    """The blocks of a stretch from those of adjacent windows, in order. A field has one kind in all of them."""
    if (alike := _alike(windows)) is not None:
        return joined(map(_merge, alike))
    return _merge_by_field(windows)


def _alike(windows: Sequence[Sequence[HeldBlock]]) -> Iterable[Sequence[HeldBlock]] | None:
    """The blocks one after the other, where all windows have the same fields in the same blocks; None otherwise."""
    shape = [(block.kind, block.names) for block in windows[0]]
    for blocks in windows[1:]:
        if len(blocks) != len(shape) or any(
            block.kind is not kind or block.names != names for block, (kind, names) in zip(blocks, shape, strict=True)
        ):
            return None
    return zip(*windows, strict=True)


def _merge_by_field(windows: Sequence[Sequence[HeldBlock]]) -> list[HeldBlock]:
    """Of windows in which not all fields came together all the time."""
    series: dict[str, list[HeldBlock]] = {}
    for blocks in windows:
        for block in blocks:
            for name in block.names:
                series.setdefault(name, []).append(block)
    # Fields that were together all the time are merged together.
    groups: dict[tuple[int, ...], list[str]] = {}
    for name, parts in series.items():
        groups.setdefault(tuple(map(id, parts)), []).append(name)
    merged = [_merge([block.select(names) for block in series[names[0]]]) for names in groups.values()]
    return joined(merged)


def _merge(parts: Sequence[HeldBlock]) -> HeldBlock:
    first = parts[0]
    if len(parts) == 1:
        return first
    timing, gaps = merge_timings([part.timing for part in parts])
    columns = HELD_COLUMNS[first.kind].merged([part.columns for part in parts], gaps)
    return HeldBlock(first.kind, first.names, timing, columns)


def _values(columns: Any) -> list[Any]:
    return [getattr(columns, field.name) for field in fields(columns)]


def _map(columns: Any, change: Any) -> Any:
    return type(columns)(*[None if column is None else change(column) for column in _values(columns)])


def _pick(column: Sequence[Number], places: Sequence[int]) -> Sequence[Number]:
    return itemgetter(*places)(column) if len(places) > 1 else (column[places[0]],)
