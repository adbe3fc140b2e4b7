"""The time of a row: from what a file has to UTC.

What belongs here: forms of time, the zone of times without one, hours that a zone repeats or skips. What does not:
which times are too old or in the future (`row_check`).

An hour that clocks repeat comes twice in a file. Rows of a device that stand in order of time tell which one is meant:
the first time that is not before the row above. In a file that runs backwards it is the other way round.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from greenpower.datatype import FrameError, parse_time
from greenpower.importing.mapping import Mapping

BAD_TIME = "bad-time"
NO_ZONE = "no-zone"
SKIPPED_HOUR = "skipped-hour"
REPEATED_HOUR = "repeated-hour"
MILLISECOND = timedelta(milliseconds=1)
MAX_TEXT_SHOWN = 40
#: of ids that come from outside
MAX_DEVICES = 100_000
FIRST_YEAR, LAST_YEAR = 1970, 9998


class BadTimeError(Exception):
    """A time that cannot be taken. The text says what is wrong with it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class RowTimes:
    """Reads the times of a file's rows, in their order. repeated: how many lie in an hour that the zone repeats."""

    def __init__(self, mapping: Mapping) -> None:
        self._format = mapping.time_format
        self._zone = ZoneInfo(mapping.timezone) if mapping.timezone else None
        self._rule = mapping.repeated_hour
        self._last: dict[str, datetime] = {}
        self._falls: dict[str, bool] = {}
        self.repeated = 0

    def read(self, device: str, value: Any) -> datetime:
        """The time of the next row of a device, UTC, to the millisecond. Raises BadTimeError."""
        found = self._parse(value)
        if not FIRST_YEAR <= found.year <= LAST_YEAR:
            raise BadTimeError(BAD_TIME, f"the year {found.year} is not {FIRST_YEAR} to {LAST_YEAR}")
        if found.tzinfo is None:
            if self._zone is None:
                raise BadTimeError(NO_ZONE, f"{_shown(value)} has no offset from UTC: name its time zone")
            first, second = _candidates(found, self._zone)
            moment = first if second is None else self._choose(device, first, second, value)
        else:
            moment = found.astimezone(UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        last = self._last.get(device)
        if last is not None and moment != last:
            self._falls[device] = moment < last
        elif last is None and len(self._last) >= MAX_DEVICES:
            del self._last[next(iter(self._last))]
        self._last[device] = moment
        return moment

    def _choose(self, device: str, first: datetime, second: datetime, value: Any) -> datetime:
        self.repeated += 1
        if self._rule == "refuse":
            raise BadTimeError(REPEATED_HOUR, f"{_shown(value)} comes twice where clocks are put back")
        if self._rule in ("first", "second"):
            return first if self._rule == "first" else second
        last = self._last.get(device)
        if self._falls.get(device, False):
            return second if last is None or second < last else first
        return first if last is None or first > last else second

    def _parse(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime.combine(value, time())
        try:
            if self._format and isinstance(value, str):
                return datetime.strptime(value.strip(), self._format)
            if isinstance(value, str):
                value = value.strip()
                if len(value) == len("2026-01-31") and value.count("-") == 2:
                    return datetime.combine(date.fromisoformat(value), time())
            return parse_time(value)
        except (ValueError, OverflowError) as error:
            raise BadTimeError(BAD_TIME, f"{_shown(value)}: {error}"[:200]) from None
        except FrameError as error:
            why = error.detail if value not in ("", None) else "there is none"
            raise BadTimeError(BAD_TIME, why) from None


@lru_cache(maxsize=4096)
def _candidates(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime | None]:
    """The times in UTC that a local time means. Raises BadTimeError for one that no clock shows."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) != local:
        text = f"{local.isoformat(' ')} does not exist in {zone.key}, where clocks are put forward"
        raise BadTimeError(SKIPPED_HOUR, text)
    return first, second if second > first else None


def _shown(value: Any) -> str:
    return ascii(value)[:MAX_TEXT_SHOWN]
