"""The whole chain for tests of energies: a broker, ingest as a process, the runs of the tiers, and the API.

One chain serves a module; each series is a device of its own. What belongs here: sending, rolling up, asking. What does
not: which series, and what is right (`tests.measure`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from flask import Flask
from pydantic import SecretStr
from pymongo import MongoClient

from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.app import create_app
from greenpower.catalog.registry import load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.readings.clock_mark import ARRIVAL
from greenpower.mongo.schema.layout import INVALIDATIONS, ensure_indexes
from greenpower.stack import Mongod, Mosquitto, Valkey
from greenpower.stack.port import free_port
from tests.api.conftest import KEY, Api, close_app
from tests.ingest.conftest import Publisher
from tests.measure.plain_count import PlainIncident
from tests.measure.plain_series import Number, PlainMeter, Sample
from tests.process import Command
from tests.rollups.world import run_all
from tests.wait import busy, wait_until

TYPE, TOPIC, PATH = "eny_now", "MQTT_ENY_NOW", "/api/telemetry/eny-now-data/"
#: The zone of stamps that name none.
ZONE = ZoneInfo("Europe/Berlin")
MODULUS = 1_000
#: Fields by what is declared of them here.
PLAIN_FIELDS = ("zygsz", "zwgsz", "zszsz", "pos_en_b")
ROLLING_FIELD, WITH_THE_MODULUS_OF_THE_CASE = "fygsz", "fwgsz"
#: Fields that the site declares as other kinds of register.
NET_FIELDS, DAILY_FIELDS = ("pos_en_a", "zyjsz"), ("pos_en_c", "zyfsz")
KINDS = "".join(
    f"""
[types.eny_now.fields.{name}]
kind = "{kind}"
"""
    for kind, names in (("net", NET_FIELDS), ("daily", DAILY_FIELDS))
    for name in names
)
SITE = f"""
[types.eny_now.fields.{ROLLING_FIELD}]
modulus = {MODULUS}
[types.eny_now.fields.{WITH_THE_MODULUS_OF_THE_CASE}]
modulus = 838.8607
{KINDS}"""
DECLARED = PlainMeter(rate=100_000, floor=50, stale_after=1_020)
FOR_EVER = dict.fromkeys(
    (f"mongo_{name}_ttl_seconds" for name in ("today", "last_7_days", "last_30_days", "last_6_months", "this_year")), 0
)
Stamp = Callable[[datetime], str | None]


def aware(time: datetime) -> str | None:
    """A stamp that says its offset, to the millisecond."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds")


def naive(time: datetime) -> str | None:
    """A stamp of the local time of devices, without an offset; whole seconds."""
    return time.astimezone(ZONE).strftime("%Y%m%d%H%M%S")


def unstamped(time: datetime) -> str | None:
    return None


class Chain(Api):
    """Devices, and what becomes of what they send."""

    def __init__(self, app: Flask, settings: Settings, publisher: Publisher) -> None:
        super().__init__(app, settings)
        self.publisher = publisher
        self.datatype = load_registry(settings.greenpower_site)[TYPE]
        self.sent = 0

    def send(self, device: str, samples: Iterable[Sample], field: str, stamp: Stamp = aware) -> None:
        """Publish samples in the order given. Another value goes along, so that a zero is no zero frame."""
        for time, value in samples:
            text = stamp(time)
            body = {"id": device, field: value, "uathd": 1.2, "isend": "1"}
            self.publisher.send(TOPIC, body if text is None else {**body, "time": text})
            self.sent += 1

    def store(self) -> None:
        """Wait until everything that was sent is stored."""
        self.publisher.flush(60 * busy())
        events = self.database["telemetry_events"]
        wait_until(lambda: events.count_documents({}) >= self.sent, 60 * busy(), every=0.1)
        assert not events.find_one({"outcome": "rejected"})

    def stored(self, device: str, field: str) -> tuple[list[Sample], set[datetime]]:
        """The samples of a device as ingest stored them, and the times of those that have time of arrival."""
        found = self.database[self.datatype.collection].find({"device_id": device}).sort("timestamp")
        readings = [reading for reading in found if field in reading["payload"]]
        samples: list[Sample] = [(reading["timestamp"], reading["payload"][field]) for reading in readings]
        return samples, {reading["timestamp"] for reading in readings if reading.get("clock") == ARRIVAL}

    def roll(self, clock: datetime | None = None) -> None:
        """Runs of all tiers, until nothing is left to do. clock: what the runs take for now."""
        for _ in range(20):
            run_all(self.database, (self.datatype,), self.settings, clock=lambda: clock or datetime.now(UTC))
            if not self.database[INVALIDATIONS].count_documents({"type": TYPE}):
                break
        else:
            raise AssertionError(list(self.database[INVALIDATIONS].find({"type": TYPE})))
        forget_tier_views(self.app)

    def body(self, path: str = "consumption/", **parameters: Any) -> Document:
        """What a GET answers."""
        response = self.get(PATH + path, **parameters)
        assert response.status_code == 200, response.text
        found: Document = response.get_json()
        return found

    def consumption(self, device: str, field: str, **parameters: Any) -> tuple[list[Document], Document]:
        """(rows of the device with their start and end, the answer). start_time, end_time: datetimes."""
        for name in ("start_time", "end_time"):
            if isinstance(parameters.get(name), datetime):
                parameters[name] = parameters[name].isoformat()
        body = self.body(device_id=device, field=field, **parameters)
        (mine,) = body["devices"]
        rows = []
        for axis, row in zip(body["results"], mine["results"], strict=True):
            start, end = (datetime.fromisoformat(axis[name]).astimezone(UTC) for name in ("start", "end"))
            rows.append({**row, "start": start, "end": end})
        return rows, {**body, "device": mine}

    def incidents(self, device: str) -> list[PlainIncident]:
        """What the API tells of a device's counters, in order of time; not the exchange of meters."""
        response = self.get("/api/incidents/", type=TYPE, device_id=device, page_size=1000)
        assert response.status_code == 200, response.text
        body = response.get_json()
        assert body["next"] is None
        found = [
            PlainIncident(one["incident"], _time(one["at"]), one["status"], one["until"] and _time(one["until"]))
            for one in body["results"]
            if one["incident"] != "swap"
        ]
        return sorted(found, key=lambda incident: (incident.at, incident.kind))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@contextmanager
def make_chain(folder: Path, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto, **more: Any) -> Iterator[Chain]:
    """A chain with a database of its own, where nothing expires. more: settings."""
    site = folder / "site.toml"
    site.write_text(SITE)
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=folder,
        greenpower_site=site,
        secret_key=SecretStr("s" * 40),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name=f"chain_{uuid4().hex[:8]}",
        redis_url=SecretStr(valkey.url),
        mqtt_broker=mosquitto.host,
        mqtt_port=mosquitto.port,
        mqtt_client_id=f"chain-{uuid4().hex[:8]}",
        device_timezone=ZONE.key,
        backlog_max_days=400,
        tcp_port=free_port(),
        ingest_http_port=free_port(),
        api_rate_limit="",
        **{**FOR_EVER, **more},
    )
    init_sql(settings)
    registry = load_registry(site)
    with ExitStack() as stack:
        app = create_app(settings, registry)
        stack.callback(close_app, app)
        client = stack.enter_context(MongoClient[Document](mongod.uri, tz_aware=True))
        stack.callback(client.drop_database, settings.mongo_db_name)
        ensure_indexes(client[settings.mongo_db_name], registry, settings)
        stack.enter_context(Command(settings, "ingest", "--mqtt", folder=folder)).wait_healthy()
        publisher = Publisher(mosquitto.host, mosquitto.port)
        stack.callback(publisher.close)
        yield Chain(app, settings, publisher)


def millionths(energy: Number | None) -> int | None:
    """An energy of an answer as it was counted."""
    return None if energy is None else round(energy * 1_000_000)
