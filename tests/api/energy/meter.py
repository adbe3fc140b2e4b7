"""A data type with tiers for tests of the API, filled with what rollups would have made of its readings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from pydantic import SecretStr

from greenpower.api.http.context import get_context
from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import STANDARD_TIERS, DataType, Field, Kind, Mqtt, json_parser
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.tier_view import TierView, read_tier_views
from greenpower.mongo.schema.layout import WATERMARKS, ensure_indexes
from greenpower.rollups.run import now
from greenpower.stack import Mongod
from greenpower.stack.port import free_port
from tests.api.conftest import KEY, Api, close_app
from tests.rollups.world import run_all

PATH = "/api/telemetry/meter-data/"
RATE = 100
METER = DataType(
    name="meter",
    title="Meter",
    endpoint="meter-data",
    collection="meter_data",
    match=(Mqtt("METER"),),
    fields=(
        Field("volts", unit="V"),
        Field("energy", unit="kWh", kind=Kind.COUNTER, greatest_rate=RATE),
    ),
    parse=json_parser(device="id", time="time"),
    tiers=STANDARD_TIERS,
    stale_after=3_600,
    open=False,
)
Reading = tuple[datetime, Mapping[str, float]]


class Meters(Api):
    """The API of meters."""

    now: datetime
    types: Sequence[DataType] = (METER,)

    def clear(self) -> None:
        """Take everything away, and look at the clock."""
        for name in self.database.list_collection_names():
            self.database[name].delete_many({})
        forget_tier_views(self.app)
        self.now = datetime.now(UTC)

    def tier_views(self) -> tuple[TierView, ...]:
        """What there is now."""
        return read_tier_views(self.database, METER, self.settings)

    def store(self, device: str, readings: Sequence[Reading]) -> None:
        """Insert readings."""
        if readings:
            self.database[METER.collection].insert_many([_reading(device, *reading) for reading in readings])

    def roll_up(
        self,
        device: str,
        readings: Sequence[Reading],
        until: datetime,
        prefixes: Iterable[str] | None = None,
    ) -> None:
        """Store the buckets of readings in tiers, all of those that end by a time, as far as retention goes."""
        for tier in METER.tiers:
            if tier.window is None or (prefixes is not None and tier.prefix not in prefixes):
                continue
            tier_view = next(tier_view for tier_view in self.tier_views() if tier_view.window == tier.window)
            done = floor(until, tier.window)
            begin = max(floor(tier_view.kept_from, tier.window), floor(readings[0][0], tier.window))
            documents = buckets(device, readings, begin, done, tier.window)
            if documents:
                self.database[tier.prefix + METER.collection].insert_many(documents)
            self.database[WATERMARKS].update_one(
                {"_id": f"meter/{tier.prefix}"},
                {"$set": {"type": "meter", "prefix": tier.prefix, "watermark": done}},
                upsert=True,
            )
        forget_tier_views(self.app)

    def run_rollups(self, at: datetime | None = None) -> None:
        """What the jobs would have done by now, or by a time: all tiers and the interval ledger."""
        run_all(self.database, self.types, self.settings, clock=(lambda: at) if at else now)
        forget_tier_views(self.app)

    def body(self, path: str = PATH, **parameters: Any) -> Document:
        """What a GET answers."""
        response = self.get(path, **parameters)
        assert response.status_code == 200, response.text
        found: Document = response.get_json()
        return found


def buckets(
    device: str,
    readings: Sequence[Reading],
    begin: datetime,
    end: datetime,
    window: int,
    settled_before: datetime | None = None,
) -> list[Document]:
    """The documents of a tier, by greenpower's own functions."""
    rolled = roll(
        [time for time, _ in readings],
        [dict(payload) for _, payload in readings],
        begin=begin,
        end=end,
        length=window,
        spec=Spec.from_datatype(METER),
        settled_before=settled_before or end,
        stale_after=METER.stale_after,
    )
    return [
        {
            "device_id": device,
            "timestamp": bucket.start,
            **bucket.to_document(),
            "final": bucket.settled,
            "as_of": end,
            "updated_at": end,
        }
        for bucket in rolled.buckets
    ]


def _reading(device: str, time: datetime, payload: Mapping[str, float]) -> Document:
    return {
        "device_id": device,
        "topic": "METER",
        "timestamp": time,
        "received_at": time + timedelta(seconds=1),
        "updated_at": time + timedelta(seconds=1),
        "payload": dict(payload),
        "complete": True,
    }


def make_meters(
    home: Path, uri: str, name: str, types: Sequence[DataType] = (METER,), **more: Any
) -> tuple[Flask, Meters]:
    """An app for meters, or other types. more: settings."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=home,
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(uri),
        mongo_db_name=name,
        ingest_http_port=free_port(),
        **more,
    )
    init_sql(settings)
    app = create_app(settings, Registry.of(*types))
    with app.app_context():
        ensure_indexes(get_context().mongo.database, types, settings)
    meters = Meters(app, settings)
    meters.types = types
    return app, meters


@pytest.fixture(scope="session")
def shared_meters(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Meters]:
    """The API of meters, raw kept for ever."""
    app, meters = make_meters(tmp_path_factory.mktemp("meters"), mongod.uri, "test_meters")
    yield meters
    close_app(app)


@pytest.fixture
def meters(shared_meters: Meters) -> Meters:
    """The API of meters, empty."""
    shared_meters.clear()
    return shared_meters
