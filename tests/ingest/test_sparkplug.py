"""Sparkplug devices over a real broker: births, data by alias, restarts, kills, shared subscriptions, up to the API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.app import create_app
from greenpower.catalog.registry import discover
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from greenpower.stack import Mosquitto
from greenpower.stack.port import free_port
from tests.api.conftest import Api, close_app
from tests.framing.sparkplug_bytes import BOOLEAN, DOUBLE, INT32, STRING, UINT64, metric, payload
from tests.ingest.conftest import Document, Publisher, Start
from tests.ingest.replay.test_replay import run_replay
from tests.proxy import AckDroppingProxy
from tests.wait import wait_until

PRESS, HALL = "works/hall-2/press", "works/hall-2"
BASE = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
REGISTRY = discover(plugins="sparkplug")
(DATATYPE,) = REGISTRY
#: name, data type and value at first, of what the press measures
METRICS: tuple[tuple[str, int, Any], ...] = (
    ("Active Power", DOUBLE, 64.25),
    ("Energy/Active", UINT64, 5000),
    ("Temperature", INT32, -4),
    ("Running", BOOLEAN, True),
    ("Properties/Model", STRING, "P-200"),
)
FIELDS = ("active_power", "active_energy", "temperature", "running")


class Node:
    """An edge node with a press behind it. It counts its messages, and knows its last aliases and what was measured."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher
        self.seq = 0
        self.first_alias = 1
        self.values = [value for _, _, value in METRICS]
        self.sent: dict[datetime, Document] = {}

    def birth(self, minute: float, first_alias: int = 1) -> None:
        """The births of the node and the press. first_alias: metrics count from it, backwards if below 0."""
        self.seq, self.first_alias = 0, first_alias
        at = self._time(minute)
        self._send("NBIRTH", at, metric(INT32, 3, name="Temperature", alias=0))
        self._send("DBIRTH", at, *(
            metric(kind, self.values[place], name=name, alias=self._alias(place))
            for place, (name, kind, _) in enumerate(METRICS)
        ))  # fmt: skip
        self.sent[at] = dict(zip(FIELDS, self.values, strict=False))

    def data(self, minute: float, power: float, energy: int, temperature: int, running: bool) -> None:
        """What the press measures, by alias."""
        at = self._time(minute)
        values = (power, energy, temperature, running)
        self.values[: len(values)] = values
        self._send("DDATA", at, *(
            metric(METRICS[place][1], value, alias=self._alias(place), typed=False)
            for place, value in enumerate(values)
        ))  # fmt: skip
        self.sent[at] = dict(zip(FIELDS, values, strict=True))

    def _alias(self, place: int) -> int:
        return abs(self.first_alias + place)

    def _time(self, minute: float) -> datetime:
        return BASE + timedelta(minutes=minute)

    def _send(self, kind: str, at: datetime, *metrics: bytes) -> None:
        body = payload(round(at.timestamp() * 1000), *metrics, seq=self.seq)
        self.seq = (self.seq + 1) % 256
        self.publisher.send(f"spBv1.0/works/{kind}/hall-2" + ("/press" if kind[0] == "D" else ""), body)


def readings(db: Database[Document], device: str = PRESS) -> dict[datetime, Document]:
    return {item["timestamp"]: item["payload"] for item in db.sparkplug_data.find({"device_id": device})}


def births(db: Database[Document]) -> int:
    found = db.device_sessions.find_one({"_id": f"sparkplug|{PRESS}"})
    return 0 if found is None else len(found["births"])


def reasons(db: Database[Document]) -> set[tuple[str, str]]:
    return {(event["outcome"], event.get("reason", "")) for event in db.telemetry_events.find()}


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with no other subscriber."""
    with Mosquitto(tmp_path / "mosquitto") as part:
        yield part


@pytest.fixture
def node(own_broker: Mosquitto) -> Iterator[Node]:
    client = Publisher(own_broker.host, own_broker.port)
    yield Node(client)
    client.close()


@pytest.fixture
def using(settings: Settings, own_broker: Mosquitto) -> Settings:
    """Settings with the plugin in force."""
    given = {"greenpower_plugins": "sparkplug", "mqtt_broker": own_broker.host, "mqtt_port": own_broker.port}
    return Settings.model_validate({**settings.model_dump(), **given})


def wait_stored(db: Database[Document], node: Node) -> None:
    wait_until(lambda: len(readings(db)) >= len(node.sent), 30)
    assert readings(db) == node.sent


def test_births_and_data_by_alias_up_to_the_api(
    start: Start, using: Settings, node: Node, db: Database[Document]
) -> None:
    """The process is started anew between a birth and its data, and the node is born again with other aliases."""
    command = start(using)
    node.birth(0)
    node.data(1, 70.5, 5001, -5, True)
    wait_stored(db, node)
    assert command.stop() == 0
    start(using)
    node.data(2, 71.5, 5001, -6, False)
    wait_stored(db, node)
    # The other way round: power, energy and temperature change their aliases.
    node.birth(3, first_alias=-5)
    node.data(4, 72.5, 5002, -7, True)
    wait_stored(db, node)
    node.publisher.send(
        "spBv1.0/works/DDATA/hall-2/press",
        payload(round(datetime.now(UTC).timestamp() * 1000), metric(DOUBLE, 1.0, alias=77, typed=False)),
    )
    node.publisher.send("spBv1.0/works/NDEATH/hall-2", payload(None, metric(INT32, 1, name="bdSeq"), seq=None))
    node.data(12, 73.5, 5004, -8, True)
    wait_stored(db, node)
    # Events come after readings, and batches beside each other.
    wait_until(lambda: reasons(db) == {("stored", ""), ("rejected", "no-session"), ("noted", "death")})
    of_node = {BASE + timedelta(minutes=minute): {"temperature": 3} for minute in (0, 3)}
    wait_until(lambda: readings(db, HALL) == of_node)
    assert births(db) == 2

    init_sql(using)
    app = create_app(using, REGISTRY)
    try:
        run_tier(db, make_plans(DATATYPE, using)[0], using)
        _check_api(Api(app, using), node)
    finally:
        close_app(app)
    run_replay(using, REGISTRY, name="sparkplug", span=(BASE - timedelta(minutes=1), BASE + timedelta(minutes=30)))
    assert readings(db) == node.sent


def _check_api(api: Api, node: Node) -> None:
    path = f"/api/telemetry/{DATATYPE.endpoint}/"
    span = {
        "start_time": (BASE - timedelta(minutes=5)).isoformat(),
        "end_time": (BASE + timedelta(minutes=15)).isoformat(),
        "device_id": PRESS,
    }
    listed = api.get(path, resolution="raw", **span).get_json()["results"]
    assert {datetime.fromisoformat(item["timestamp"]): item["payload"] for item in listed} == node.sent
    buckets = api.get(path, resolution="1m", **span).get_json()["results"]
    assert [item["payload"].keys() for item in buckets] == [{*FIELDS}] * len(node.sent)
    (latest,) = api.get(f"{path}latest/", device_id=PRESS).get_json()["results"]
    assert latest["payload"] == node.sent[max(node.sent)]
    used = api.get(f"{path}consumption/", field="active_energy", **span).get_json()
    assert used["devices"][0]["total"] == pytest.approx(5004 - 5000)


def test_two_processes_share_the_frames(start: Start, using: Settings, node: Node, db: Database[Document]) -> None:
    """Whichever of them a birth goes to, both read data by it. The births have other aliases each time."""
    members = [
        start(
            Settings.model_validate({
                **using.model_dump(), "mqtt_shared": True, "mqtt_client_id": name, "ingest_http_port": free_port()
            })
        )
        for name in ("one", "two")
    ]  # fmt: skip
    for turn, first_alias in enumerate((1, -5, 10, -15)):
        node.birth(4 * turn, first_alias)
        # The broker gives frames to the two in turn: a birth that is on its way could be overtaken by its data.
        wait_until(lambda turn=turn: births(db) == turn + 1)  # type: ignore[misc]
        for number in range(1, 9):
            node.data(
                4 * turn + number / 4, 60 + turn + number, 5000 + 10 * turn + number, -turn - number, turn % 2 == 0
            )
        wait_stored(db, node)
    shares = [command.metric("greenpower_mqtt_acknowledged_total") for command in members]
    assert all(shares)
    wait_until(lambda: db.telemetry_events.count_documents({}) == 4 * 10)
    assert reasons(db) == {("stored", "")}


def test_killed_between_the_writes_and_the_acknowledgements(
    start: Start, using: Settings, node: Node, db: Database[Document]
) -> None:
    """All of it comes again: the old birth replaces no newer one, and each value has its name."""
    with AckDroppingProxy(using.mqtt_broker, using.mqtt_port) as proxy:
        command = start(Settings.model_validate({**using.model_dump(), "mqtt_port": proxy.port}))
        proxy.dropping = True
        node.birth(0)
        node.data(1, 70.5, 5001, -5, True)
        node.birth(2, first_alias=-5)
        node.data(3, 71.5, 5001, -6, False)
        wait_until(lambda: proxy.dropped == 6)
        wait_stored(db, node)
        command.kill()
    start(using)
    wait_until(lambda: db.telemetry_events.count_documents({"outcome": "duplicate"}) >= 6)
    node.data(4, 72.5, 5002, -7, True)
    wait_stored(db, node)
    assert births(db) == 2
    assert reasons(db) == {("stored", ""), ("duplicate", "")}
