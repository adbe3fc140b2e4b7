"""Columns: what each column of a file is, by the mapping and by its name.

What belongs here: finding the device, the time and the fields among the names of columns, and saying which names fit
nothing. What does not: reading files (`csv_rows`, `json_rows`, `parquet_rows`).
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass

from greenpower.datatype.field import normalise
from greenpower.importing.cell import CellRule
from greenpower.importing.cell_names import CellNames
from greenpower.importing.file_error import ImportFileError
from greenpower.importing.mapping import Mapping

DEVICE_NAMES = ("device_id", "device")
TIME_NAMES = ("timestamp", "time", "datetime", "date_time")
TOPIC, FIELD, VALUE, UNIT = "topic", "field", "value", "unit"
#: further columns of our own exports, which say nothing of the readings
OF_EXPORTS = frozenset({"id", "corrections", "times"})
#: only exports of buckets have it
OF_BUCKETS = "final"
MAX_NAMED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportColumns:
    """The columns by position. device: None where all rows are of one device. time: one or more. cells: the values.
    narrow: (field, value, unit) of a file with a line per value, whose cells are given by `CellNames`."""

    device: int | None
    time: tuple[int, ...]
    topic: int | None
    cells: tuple[tuple[int, CellRule], ...]
    narrow: tuple[int, int, int | None] | None = None


def find_columns(
    labels: Sequence[str], names: CellNames, mapping: Mapping, units: MappingOf[str, str] | None = None
) -> ImportColumns:
    """What the columns of a file are. units: those that the file tells beside the names. Raises ImportFileError with
    every problem."""
    repeated = sorted({label for label in labels if label and labels.count(label) > 1})
    if repeated:
        raise ImportFileError(f"two columns have the name {', '.join(map(repr, repeated[:MAX_NAMED]))}")
    problems: list[str] = []
    places = {label: number for number, label in enumerate(labels)}
    by_lower = {label.strip().lower(): label for label in reversed(labels) if label not in mapping.columns}

    def role(given: str | None, usual: Sequence[str], what: str) -> int | None:
        if given is not None:
            if given not in places:
                problems.append(f"there is no column {given!r} for the {what}")
            return places.get(given)
        return next((places[by_lower[name]] for name in usual if name in by_lower and name not in names.fields), None)

    device = None
    if mapping.device_id is None:
        device = role(mapping.device, DEVICE_NAMES, "device")
        if device is None and mapping.device is None:
            problems.append("no column names the device: name one device_id, map one, or give the device of all rows")
    given = (mapping.time,) if isinstance(mapping.time, str) else mapping.time
    found = [role(name, (), "time") for name in given] if given else [role(None, TIME_NAMES, "time")]
    time = tuple(place for place in found if place is not None)
    if not time and not given:
        problems.append("no column has the time: name one timestamp, or map one")
    topic = role(mapping.topic, (TOPIC,), "topic")
    narrow = _narrow(places, by_lower, names, mapping, problems)
    taken = {device, topic, *time, *(narrow or ())}
    cells: list[tuple[int, CellRule]] = []
    unknown: list[str] = []
    for number, label in enumerate(labels):
        if number in taken or _is_skipped(label, mapping, names):
            continue
        try:
            rule = None if narrow else _with_unit(names, label, (units or {}).get(label, ""))
        except ImportFileError as error:
            problems.append(str(error))
            continue
        if rule is not None:
            cells.append((number, rule))
        elif label.strip().lower() == OF_BUCKETS:
            problems.append("these are buckets of a tier, not readings: export with the resolution raw")
        elif not (mapping.ignore_unknown or (narrow and label.strip().lower() in DEVICE_NAMES)):
            unknown.append(label)
    problems += _problems(cells, unknown, names, narrow=narrow is not None)
    problems += [
        f"mapping: there is no column {label!r}" for label in mapping.columns if not narrow and label not in places
    ]
    if problems:
        raise ImportFileError("\n".join(problems))
    return ImportColumns(device=device, time=time, topic=topic, cells=tuple(cells), narrow=narrow)


def _narrow(
    places: MappingOf[str, int],
    by_lower: MappingOf[str, str],
    names: CellNames,
    mapping: Mapping,
    problems: list[str],
) -> tuple[int, int, int | None] | None:
    """The columns of a line per value; None for a line per row."""
    field, value, unit = mapping.field, mapping.value, mapping.unit
    if field is None and not names.fields.keys() & {FIELD, VALUE} and {FIELD, VALUE} <= by_lower.keys():
        field, value = by_lower[FIELD], by_lower[VALUE]
    if field is None or value is None:
        return None
    unit = unit or by_lower.get(UNIT)
    missing = [name for name in (field, value, unit) if name is not None and name not in places]
    problems += [f"there is no column {name!r}" for name in missing]
    if missing:
        return None
    return places[field], places[value], None if unit is None else places[unit]


def _is_skipped(label: str, mapping: Mapping, names: CellNames) -> bool:
    if label in mapping.columns:
        return False
    return (
        not label.strip()
        or label in mapping.ignore
        or (label.strip().lower() in OF_EXPORTS and normalise(label.strip()) not in names.fields)
        # One device is given for all rows: what the file says of it does not count.
        or (mapping.device_id is not None and label.strip().lower() in DEVICE_NAMES)
    )


def _with_unit(names: CellNames, label: str, unit: str) -> CellRule | None:
    rule = names.column(label)
    if rule is None or not unit or rule.convert is not None or label not in names.fields:
        return rule
    found = names.named(label, unit)
    if isinstance(found, str):
        raise ImportFileError(f"column {label!r:.80}: {found}")
    return found


def _problems(
    cells: Sequence[tuple[int, CellRule]], unknown: Sequence[str], names: CellNames, *, narrow: bool
) -> list[str]:
    problems = []
    keys = [rule.key for _, rule in cells]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        labels = ", ".join(repr(rule.label) for _, rule in cells if rule.key in twice)
        problems.append(f"two columns are of one field: {labels}")
    for label in unknown[:MAX_NAMED]:
        why = "it is neither device, time, field, value nor unit" if narrow else names.unknown(label)
        problems.append(f"column {label!r:.80}: {why}")
    if len(unknown) > MAX_NAMED:
        problems.append(f"and {len(unknown) - MAX_NAMED} more such columns")
    if unknown:
        problems.append("map these columns, or have them ignored")
    if not cells and not unknown and not narrow:
        problems.append("no column has a value")
    return problems
