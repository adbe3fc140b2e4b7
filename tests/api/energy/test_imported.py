"""Consumption over REST after an import: the plain difference of the register, over months and changes of clocks, and
where imported readings and those of the device meet."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo.errors import PyMongoError

from greenpower.importing import store_rows
from greenpower.mongo.schema.layout import INVALIDATIONS
from tests.api.energy.meter import PATH, Meters

QUARTER = timedelta(minutes=15)
FORMS = {"month": "%Y-%m", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H:%M"}
Register = Mapping[datetime, int]


def register(begin: datetime, end: datetime, step: timedelta = QUARTER) -> dict[datetime, int]:
    """What a meter shows at each time, in Wh: it uses more in some hours than in others."""
    found, shown, now = {}, 5_000, begin
    while now <= end:
        found[now] = shown
        shown += 50 + 10 * (now.hour % 7) + now.minute // 15
        now += step
    return found


def send(meters: Meters, device: str, shown: Register, zone: ZoneInfo, **query: Any) -> None:
    """Import a register as a file whose times are those of a clock on the wall."""
    rows = "".join(f"{time.astimezone(zone):%d.%m.%Y %H:%M};{value}\n" for time, value in shown.items())
    mapping = f'time_format = "%d.%m.%Y %H:%M"\ndevice_id = "{device}"\ntimezone = "{zone.key}"\n'
    answer = meters.client.post(
        "/api/telemetry/import/",
        query_string={"type": "meter", "new_devices": "true", "map": mapping, **query},
        data=gzip.compress(f"time;energy [Wh]\n{rows}".encode()),
        headers={"Authorization": f"Bearer {meters.tokens['access']}"},
    )
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert (body["rows"], body["refused"], body["left_out"]) == (len(shown), {}, {}), body


def used(shown: Register, zone: ZoneInfo, bucket: str) -> dict[str, float]:
    """The plain answer: the difference to the reading before, in the stretch of the later one. kWh."""
    found: dict[str, int] = defaultdict(int)
    times = sorted(shown)
    for before, after in pairwise(times):
        label = f"{after.astimezone(zone):{FORMS[bucket]}}"
        found[label[:-2] + "00" if bucket == "hour" else label] += shown[after] - shown[before]
    return {label: value / 1000 for label, value in found.items()}


def asked(meters: Meters, device: str, shown: Register, zone: ZoneInfo, bucket: str) -> dict[str, float]:
    """What the API says of the same span, its last reading included. Of an hour that comes twice, both together."""
    times = sorted(shown)
    body = meters.body(
        f"{PATH}consumption/", device_id=device, field="energy", bucket=bucket, tz=zone.key,
        start_time=times[0].isoformat(), end_time=(times[-1] + QUARTER / 15).isoformat(),
    )  # fmt: skip
    found: dict[str, float] = defaultdict(float)
    for row in body["devices"][0]["results"]:
        found[row["bucket"][:16]] += row["energy"]
    assert body["devices"][0]["total"] == pytest.approx((shown[times[-1]] - shown[times[0]]) / 1000)
    return {label: value for label, value in found.items() if value}


def check(meters: Meters, device: str, shown: Register, zone: ZoneInfo, *buckets: str) -> None:
    for bucket in buckets:
        assert asked(meters, device, shown, zone, bucket) == pytest.approx(used(shown, zone, bucket)), bucket


@pytest.mark.parametrize(
    ("zone", "month", "changes"),
    [
        ("Europe/Berlin", datetime(2023, 10, 1), "autumn"),
        ("Europe/Berlin", datetime(2024, 3, 1), "spring"),
        ("Australia/Lord_Howe", datetime(2024, 4, 1), "by half an hour"),
    ],
)
def test_over_months_and_a_change_of_the_clocks(meters: Meters, zone: str, month: datetime, changes: str) -> None:
    place = ZoneInfo(zone)
    begin = (month - timedelta(days=3)).replace(tzinfo=place).astimezone(UTC)
    shown = register(begin, begin + timedelta(days=40))
    send(meters, "IM1", shown, place)
    for _ in range(2):
        meters.run_rollups()
    # Hours of a zone that turns by half an hour are cut where its labels are not.
    hours = ("hour",) if changes != "by half an hour" else ()
    check(meters, "IM1", shown, place, "month", "day", *hours)


def test_where_imported_and_sent_readings_meet(meters: Meters) -> None:
    """The device has reported for two days; its history comes as files, in the wrong order and with some overlap."""
    place = ZoneInfo("Europe/Berlin")
    now = meters.now.replace(minute=0, second=0, microsecond=0)
    shown = register(now - timedelta(days=40), now)
    since = now - timedelta(days=2)
    meters.store("IM2", [(time, {"energy": value / 1000}) for time, value in shown.items() if time >= since])
    meters.run_rollups()
    middle = now - timedelta(days=20)
    send(meters, "IM2", {time: value for time, value in shown.items() if middle <= time <= since + 3 * QUARTER}, place)
    meters.run_rollups()
    send(meters, "IM2", {time: value for time, value in shown.items() if time <= middle}, place)
    for _ in range(2):
        meters.run_rollups()
    check(meters, "IM2", shown, place, "month", "day", "hour")
    send(meters, "IM2", {time: value for time, value in shown.items() if time <= middle}, place)
    for _ in range(2):
        meters.run_rollups()
    check(meters, "IM2", shown, place, "day")


def test_an_import_that_breaks_off_between_its_writes(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    """The readings are stored, and nobody was told to compute them: nothing of their time is final, until it is."""
    place = ZoneInfo("Europe/Berlin")
    now = meters.now.replace(minute=0, second=0, microsecond=0)
    shown = register(now - timedelta(days=20), now)
    since = now - timedelta(days=2)
    meters.store("IM3", [(time, {"energy": value / 1000}) for time, value in shown.items() if time >= since])
    meters.run_rollups()

    async def broken(*_: object) -> None:
        raise PyMongoError("away")

    def finals() -> set[bool]:
        body = meters.body(
            f"{PATH}consumption/", device_id="IM3", field="energy", bucket="day", tz=place.key,
            start_time=(now - timedelta(days=15)).isoformat(), end_time=(now - timedelta(days=5)).isoformat(),
        )  # fmt: skip
        return {row["final"] for row in body["devices"][0]["results"]}

    assert finals() == {True}
    with monkeypatch.context() as patched:
        patched.setattr(store_rows, "invalidate_async", broken)
        with pytest.raises(AssertionError):
            send(meters, "IM3", {time: value for time, value in shown.items() if time <= since}, place)
    assert finals() == {False}
    meters.run_rollups()
    assert finals() == {False}
    meters.database[INVALIDATIONS].update_many({}, {"$set": {"updated_at": now - timedelta(days=1)}})
    for _ in range(2):
        meters.run_rollups()
    assert finals() == {True}
    check(meters, "IM3", shown, place, "day")
