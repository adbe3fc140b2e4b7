"""Checking rows: from a row of a file to a fragment of a reading, or to the reason why it is refused.

What belongs here: device, time and values of one row. What does not: reading files (`csv_rows` and the like), storing.

Values are checked as those of frames are, but in the unit of their field: ranges, words, undeclared names, zero frames.
Of a file with a line per value, a line that stands alone is no zero frame.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from greenpower.catalog.retention import raw_retention
from greenpower.config import Settings
from greenpower.datatype import DataType, Frame, FrameError, Reading
from greenpower.datatype.check import Checker
from greenpower.datatype.claim import is_device_id
from greenpower.importing.file_row import FileRow
from greenpower.importing.mapping import Mapping
from greenpower.importing.row_time import BadTimeError, RowTimes
from greenpower.importing.tally import Tally
from greenpower.mongo.readings.store import Fragment
from greenpower.mongo.rollups.watermarks import EPOCH, RETENTION_MARGIN

NO_DEVICE = "no-device"
BAD_DEVICE = "bad-device"
IN_FUTURE = "in-future"
EXPIRED = "expired"
KEPT_TOTALS = "kept-totals"
NO_VALUES = "no-values"
ZERO_FRAME = "zero-frame"
MAX_TOPIC_CHARACTERS = 200
#: of readings from files that tell none
IMPORT_TOPIC = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """Which times are taken. kept_from: what is older expires at once. whole_from: before it readings of the type have
    expired once, and totals are kept of which they are a part."""

    latest: datetime
    kept_from: datetime = EPOCH
    whole_from: datetime = EPOCH

    @classmethod
    def of(cls, settings: Settings, whole_from: datetime, now: datetime) -> TimeLimits:
        """By the settings and what is on record."""
        kept = timedelta(seconds=raw_retention(settings))
        return cls(
            latest=now + timedelta(seconds=settings.clock_tolerance_seconds),
            kept_from=now - kept + min(RETENTION_MARGIN, kept / 10) if kept else EPOCH,
            whole_from=whole_from,
        )

    def problem(self, time: datetime) -> tuple[str, str] | None:
        """(reason, detail) of a time that is not taken."""
        if time > self.latest:
            return IN_FUTURE, f"{_shown(time)} is in the future"
        if time < self.kept_from:
            text = "readings as old as that expire at once: raise MONGO_RAW_TTL_SECONDS, or set it to 0, first"
            return EXPIRED, f"{_shown(time)}: {text}"
        if time < self.whole_from:
            text = f"readings of before {_shown(self.whole_from)} have expired; their totals are kept as they are"
            return KEPT_TOTALS, f"{_shown(time)}: {text}"
        return None


class RowChecker:
    """Checks the rows of a file, in their order, and counts those that are refused."""

    def __init__(self, datatype: DataType, mapping: Mapping, limits: TimeLimits, tally: Tally) -> None:
        self.times = RowTimes(mapping)
        self.tally = tally
        self._limits = limits
        self._devices: MappingOf[str, str] = mapping.devices
        as_stored = stored_form(datatype)
        self._checker = Checker(as_stored)
        self._without_zero_frames = Checker(replace(as_stored, anchors=()))
        self._received = datetime.now(UTC).replace(microsecond=0)

    def check(self, row: FileRow, *, by_value: bool) -> Fragment | None:
        """The fragment of a row; None where it is refused. by_value: whether the file has a line per value."""
        tally = self.tally
        tally.rows += 1
        tally.lines += row.lines
        if row.error:
            tally.refuse(row, row.error)
            return None
        device = self._devices.get(row.device, row.device)
        if not is_device_id(device):
            if device:
                tally.refuse(row, BAD_DEVICE, f"{device!a:.80} is no device id")
            else:
                tally.refuse(row, NO_DEVICE)
            return None
        try:
            time = self.times.read(device, row.time)
        except BadTimeError as error:
            tally.refuse(row, error.reason, str(error))
            return None
        finally:
            tally.repeated_hour = self.times.repeated
        if (problem := self._limits.problem(time)) is not None:
            tally.refuse(row, *problem)
            return None
        payload = self._payload(row, by_value=by_value)
        if payload is None:
            return None
        return Fragment(
            device_id=device,
            topic=row.topic[:MAX_TOPIC_CHARACTERS] or IMPORT_TOPIC,
            timestamp=time,
            received_at=self._received,
            payload=payload,
            complete=True,
            imported=True,
        )

    def _payload(self, row: FileRow, *, by_value: bool) -> dict[str, int | float] | None:
        checker = self._without_zero_frames if by_value and row.lines == 1 else self._checker
        try:
            payload, left_out = checker.check(row.values) if row.values else ({}, {})
        except FrameError as error:
            if error.reason != NO_VALUES:
                self.tally.refuse(row, error.reason, error.detail)
                return None
            payload, left_out = {}, _reasons(error.detail)
        for key, why in row.left_out.items():
            reason, _, detail = why.partition(": ")
            self.tally.leave_out(row, key, reason, detail)
        for key, why in left_out.items():
            self.tally.leave_out(row, key, why, ascii(row.values.get(key, ""))[:80])
        if payload:
            return payload
        self.tally.refuse(row, NO_VALUES)
        return None


def stored_form(datatype: DataType) -> DataType:
    """A data type whose values are sent as they are stored: units of a file are told by the file, not by the type."""
    fields = tuple(replace(field, source=(), sent_in="", scale=1, conversion=None) for field in datatype.fields)
    return replace(datatype, fields=fields, parse=_parse_nothing, wire=None)


def _parse_nothing(_frame: Frame) -> tuple[Reading, ...]:
    return ()


def _reasons(detail: str) -> dict[str, str]:
    """{key: why} of a row of which no value is left, from what the check says of it."""
    found = {}
    for part in detail.split(", "):
        key, _, why = part.rpartition(" ")
        if key:
            found[key] = why
    return found


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
