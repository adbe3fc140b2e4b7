"""What a changed greatest power touches: the hours of the device with readings, each once, whatever comes between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo.database import Database
from pymongo.errors import PyMongoError

from greenpower.config import Settings
from greenpower.datatype import ENERGY_TIERS, NO_TIERS, STANDARD_TIERS, DataType, Field, Kind, Mqtt, Tier, json_parser
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.devices.zones import read_zones
from greenpower.mongo.rollups import hours, settings_change
from greenpower.mongo.rollups.hours import invalidate_hours
from greenpower.mongo.rollups.invalidations import invalidate
from greenpower.mongo.rollups.settings_change import invalidate_changed_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, INVALIDATIONS, ensure_indexes

NOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=3)
HOUR = timedelta(hours=1)


def data_type(name: str, unit: str, tiers: tuple[Tier, ...], kind: Kind = Kind.COUNTER) -> DataType:
    return DataType(
        name=name,
        title=name,
        collection=f"{name}_data",
        match=(Mqtt(name),),
        fields=(Field("r", unit=unit, kind=kind),),
        parse=json_parser(device="id", time="time"),
        tiers=tiers,
    )


METER = data_type("meter", "kWh", STANDARD_TIERS)
COPIED = data_type("copied", "Wh", ENERGY_TIERS)
# A greatest power says nothing of these.
WATER = data_type("water", "L", STANDARD_TIERS)
GAUGE = data_type("gauge", "kWh", STANDARD_TIERS, Kind.GAUGE)
PLAIN = data_type("plain", "kWh", NO_TIERS)
TYPES = (METER, COPIED, WATER, GAUGE, PLAIN)
DAILY = data_type("daily", "L", STANDARD_TIERS, Kind.DAILY)


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that this module's tests share, empty."""
    return kept_name


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, TYPES, settings)
        yield db


def store(db: Database[Document], datatype: DataType, device: str, times: Sequence[datetime]) -> None:
    db[datatype.collection].insert_many(
        [{"device_id": device, "timestamp": time, "payload": {"r": 1.0}, "updated_at": time} for time in times]
    )


def give(db: Database[Document], device: str, power: float | None, second: int = 0, **more: Any) -> None:
    updated = NOON + timedelta(seconds=second)
    settings = DeviceSettings(device_id=device, updated_at=updated, greatest_power=power, **more)
    write_settings(db[DEVICE_SETTINGS], [settings])


def waiting(db: Database[Document]) -> set[tuple[str, str, datetime]]:
    return {(one["type"], one["prefix"], one["hour"]) for one in db[INVALIDATIONS].find()}


def test_every_hour_with_readings_is_invalidated_in_the_first_tier_of_counters(
    db: Database[Document], settings: Settings
) -> None:
    times = [NOON - HOUR + timedelta(seconds=1), NOON, NOON + timedelta(minutes=59), NOON + 5 * HOUR]
    for datatype in TYPES:
        store(db, datatype, "A", times)
        store(db, datatype, "B", [NOON + 7 * HOUR])
    give(db, "A", 50)
    assert invalidate_changed_settings(db, TYPES, settings) == 1
    prefixes = {datatype.name: next(t.prefix for t in datatype.tiers if t.window) for datatype in (METER, COPIED)}
    wanted = {(name, prefix, NOON + n * HOUR) for name, prefix in prefixes.items() for n in (-1, 0, 5)}
    assert waiting(db) == wanted and db[INVALIDATIONS].distinct("device_id") == ["A"]
    db[INVALIDATIONS].delete_many({})
    assert invalidate_changed_settings(db, TYPES, settings) == 0 and waiting(db) == set()


@pytest.mark.parametrize(
    ("powers", "changes"),
    [
        ((None,), 0),
        ((50,), 1),
        ((50, 50, 50.0), 1),
        ((50, 60, 50), 3),
        ((50, None), 2),
        ((None, 50), 1),
    ],
)
def test_what_changes_a_power_is_a_change_and_nothing_else(
    db: Database[Document], settings: Settings, powers: tuple[float | None, ...], changes: int
) -> None:
    store(db, METER, "A", [NOON])
    done = 0
    for second, power in enumerate(powers):
        give(db, "A", power, second, interval_seconds=second + 1)
        done += invalidate_changed_settings(db, TYPES, settings)
    assert done == changes and len(waiting(db)) == bool(changes)
    assert read_powers(db) == ({} if powers[-1] is None else {"A": powers[-1]})


@pytest.mark.parametrize(
    ("zones", "changes"),
    [((None,), 0), (("Asia/Dhaka",), 1), (("Asia/Dhaka", "Asia/Dhaka"), 1), (("Asia/Dhaka", None, "UTC"), 3)],
)
def test_a_zone_that_changes_has_daily_counters_computed_again(
    db: Database[Document], settings: Settings, zones: tuple[str | None, ...], changes: int
) -> None:
    for datatype in (METER, DAILY):
        store(db, datatype, "A", [NOON])
    done = 0
    for second, zone in enumerate(zones):
        give(db, "A", None, second, timezone=zone)
        done += invalidate_changed_settings(db, (METER, DAILY), settings)
    assert done == changes and {name for name, _, _ in waiting(db)} == ({"daily"} if changes else set())
    own = {} if zones[-1] is None else {"A": ZoneInfo(zones[-1])}
    assert read_zones(db) == own and read_zones(db, ["B"]) == {}


def test_a_power_and_a_zone_are_two_changes(db: Database[Document], settings: Settings) -> None:
    both = data_type("both", "kWh", STANDARD_TIERS, Kind.DAILY)
    store(db, both, "A", [NOON])
    give(db, "A", 50, timezone="Asia/Dhaka")
    assert invalidate_changed_settings(db, [both], settings, ["A"]) == 2 and len(waiting(db)) == 1
    assert invalidate_changed_settings(db, [both], settings) == 0


def test_a_change_there_and_back_before_anybody_looked_is_one(db: Database[Document], settings: Settings) -> None:
    store(db, METER, "A", [NOON])
    give(db, "A", None)
    give(db, "A", 50, 1)
    give(db, "A", None, 2)
    assert invalidate_changed_settings(db, TYPES, settings, ["A", "B"]) == 1
    assert len(waiting(db)) == 1


def test_an_older_state_changes_nothing(db: Database[Document], settings: Settings) -> None:
    give(db, "A", 50, 2)
    invalidate_changed_settings(db, TYPES, settings)
    give(db, "A", 60, 1)
    assert read_powers(db) == {"A": 50} and invalidate_changed_settings(db, TYPES, settings) == 0


def test_a_change_that_was_cut_short_is_finished_later(
    db: Database[Document], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(db, METER, "A", [NOON + n * HOUR for n in range(7)])
    give(db, "A", 50)
    monkeypatch.setattr(hours, "HOURS_PER_BATCH", 3)
    calls = []
    write = invalidate

    def fail_at_third(collection: Any, places: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise PyMongoError
        write(collection, places)

    monkeypatch.setattr(hours, "invalidate", fail_at_third)
    with pytest.raises(PyMongoError):
        invalidate_changed_settings(db, [METER], settings)
    assert len(waiting(db)) == 6
    assert invalidate_changed_settings(db, [METER], settings) == 1
    assert len(waiting(db)) == 7


def test_a_power_that_changes_meanwhile_is_not_forgotten(
    db: Database[Document], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(db, METER, "A", [NOON])
    give(db, "A", 50)

    def change_meanwhile(*arguments: Any) -> int:
        give(db, "A", 60, 1)
        monkeypatch.undo()
        return invalidate_hours(*arguments)

    monkeypatch.setattr(settings_change, "invalidate_hours", change_meanwhile)
    invalidate_changed_settings(db, [METER], settings)
    assert invalidate_changed_settings(db, [METER], settings) == 1
    assert invalidate_changed_settings(db, [METER], settings) == 0


@pytest.mark.parametrize(
    ("since", "until", "wanted"),
    [
        (None, None, (0, 1, 3, 4)),
        (NOON + 1.5 * HOUR, None, (1, 3, 4)),
        (None, NOON + 3 * HOUR, (0, 1, 3)),
        (NOON + HOUR, NOON + 1.99 * HOUR, (1,)),
        (NOON + 2 * HOUR, NOON + 2.5 * HOUR, ()),
        (NOON + 9 * HOUR, None, ()),
    ],
)
def test_a_stretch_is_cut_to_its_hours(
    db: Database[Document], settings: Settings, since: datetime, until: datetime, wanted: tuple[int, ...]
) -> None:
    store(db, METER, "A", [NOON + n * HOUR + timedelta(minutes=m) for n in (0, 1, 3, 4) for m in (0, 59)])
    assert invalidate_hours(db, METER, settings, "A", since, until) == len(wanted)
    assert {hour for _, _, hour in waiting(db)} == {NOON + n * HOUR for n in wanted}


def test_what_retention_takes_away_is_left_alone(db: Database[Document], settings: Settings) -> None:
    short = settings.model_copy(update={"mongo_raw_ttl_seconds": 86_400})
    store(db, METER, "A", [NOON, NOON + 70 * HOUR])
    give(db, "A", 50)
    invalidate_changed_settings(db, [METER], short)
    assert {hour for _, _, hour in waiting(db)} == {NOON + 70 * HOUR}
