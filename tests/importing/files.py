"""Files to import, and importing them without a registry."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Kind, Mqtt, json_parser
from greenpower.importing.file_row import FileRow
from greenpower.importing.known_devices import ImportDevices
from greenpower.importing.mapping import make_mapping
from greenpower.importing.row_check import RowChecker, TimeLimits
from greenpower.importing.run import open_file, run_import
from greenpower.importing.tally import Tally
from greenpower.mongo.readings.store import Fragment
from tests.rollups.world import RATE

NOW = datetime(2026, 11, 20, tzinfo=UTC)
#: sent in other units than it is stored in, with words and an anchor; closed to other fields
HEATER = Registry.of(
    DataType(
        name="heater",
        title="Heater",
        endpoint="heater-data",
        collection="heater_data",
        match=(Mqtt("HEATER"),),
        fields=(
            Field("power", unit="kW", sent_in="W", source="p", low=0, high=100),
            Field("energy", unit="kWh", kind=Kind.COUNTER, sent_in="Wh", greatest_rate=RATE),
            Field("temp", unit="°C"),
            Field("mode", unit="1", kind=Kind.ENUMERATION, codes={0: "off", 1: "on"}),
        ),
        parse=json_parser(device="id", time="time"),
        anchors=("energy",),
        open=False,
    )
)["heater"]


class AnyDevice(ImportDevices):
    """Takes every device, or only some."""

    def __init__(self, known: Iterable[str] | None = None) -> None:
        self.known = None if known is None else set(known)
        self.named: set[str] = set()

    def problem(self, device_id: str) -> tuple[str, str] | None:
        return None if self.known is None or device_id in self.known else ("unknown-device", device_id)

    def register(self, device_ids: Iterable[str]) -> list[str]:
        self.named |= set(device_ids)
        return []


def as_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> bytes:
    """Rows with a header."""
    names = names or list(rows[0])
    lines = [",".join(names), *(",".join(str(row.get(name, "")) for name in names) for row in rows)]
    return "\n".join(lines).encode() + b"\n"


def import_bytes(
    settings: Settings,
    datatype: DataType,
    data: bytes,
    *,
    known: Iterable[str] | None = None,
    stop_after: int | None = None,
    form: Any = None,
    batch_rows: int = 100,
    dry_run: bool = False,
    **mapping: Any,
) -> Tally:
    """Import a file. stop_after: give up after so many batches, as a run that is killed."""
    opened = open_file(io.BytesIO(data), datatype, make_mapping(mapping), form)
    run = run_import(opened, datatype, settings, AnyDevice(known), dry_run=dry_run, batch_rows=batch_rows)
    last = Tally()
    for number, tally in enumerate(run, 1):
        last = tally
        if number == stop_after:
            run.close()  # type: ignore[attr-defined]
            break
    return last


def read(data: bytes, datatype: DataType = HEATER, form: Any = None, **mapping: Any) -> tuple[list[Fragment], Tally]:
    """What a file says, without storing it."""
    found = make_mapping(mapping)
    opened = open_file(io.BytesIO(data), datatype, found, form)
    tally = Tally()
    checker = RowChecker(datatype, found, TimeLimits(latest=NOW), tally)
    rows: list[FileRow] = list(opened.rows)
    fragments = [checker.check(row, by_value=opened.by_value) for row in rows]
    return [one for one in fragments if one is not None], tally


def payloads(data: bytes, datatype: DataType = HEATER, form: Any = None, **mapping: Any) -> list[dict[str, Any]]:
    """The values in a file in which all is well."""
    fragments, tally = read(data, datatype, form, **mapping)
    assert tally.is_clean, tally.problems
    return [fragment.payload for fragment in fragments]
