"""All families of the catalogue on a running stack, as their devices would be: over a real broker, dialled, and pushed.

Bursts, retained messages, a connection of devices that breaks, pieces and breaks of dialled connections, a stop of
ingest and a kill -9. What belongs here: that each value is then found in all places where people look. What does not:
the forms of each family (the samples of its plugin, `catalogue`).
"""

from __future__ import annotations

import json
import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo.database import Database

from greenpower.app import create_app
from greenpower.catalog.registry import Registry, discover
from greenpower.catalog.site import read_site
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from greenpower.stack.port import free_port
from tests.api.conftest import Api, close_app
from tests.framing.test_sunspec import INVERTER_VALUES
from tests.ingest.catalogue import COUNTERS, FAMILIES, SITE, STORED, sent
from tests.ingest.conftest import Document, Publisher
from tests.ingest.played import DIALLED, P1_VALUES, SDM_VALUES, PlayedModbus, PlayedP1, sdm_registers, sunspec_registers
from tests.ingest.sources.http.pusher import Pusher, make_key
from tests.process import Command
from tests.realtime.conftest import Browser
from tests.wait import wait_until

#: of these each value has a topic of its own and no time, and is retained
VALUE_PER_TOPIC = ("shelly_gen1", "opendtu", "victron", "homeassistant")
TYPES = (*FAMILIES, "sunspec", "sdm", "dsmr")
#: kWh since the first round; all is over in seconds, which is no measure of what a device can use
ROUNDS = (0.0, 0.001, 0.002, 0.003)
FAST = "".join(f"\n[types.{name}]\ngreatest_power = 1000000\n" for name in (*VALUE_PER_TOPIC[:3], "sdm", "dsmr"))
#: what is pushed beside: (claim, device) -> stored, and then kWh more
PUSHED = {
    ("ttn", "well-1"): {"temperature": 11.5, "battery_voltage": 3.6, "active_energy": 10.25, "signal": -90},
    ("chirpstack", "a84041c2d1870001"): {"active_power": 0.0642, "active_energy": 12.5, "signal": -87},
    ("shelly", "shellyplus1pm-webhook"): {"switch_0_power": 0.0642, "switch_0_energy": 5.3125, "switch_0": 1},
}
INVERTER_STEADY = {key: value for key, value in INVERTER_VALUES.items() if key != "active_energy"}
#: device -> type, what stays, the register that rises
SERVED: dict[str, tuple[str, Mapping[str, float], str]] = {
    "ROOF": (
        "sunspec",
        {key: value for key, value in INVERTER_VALUES.items() if key != "active_energy"},
        "active_energy",
    ),
    "ROOF-meter": ("sunspec", {"active_power": -2.76, "active_energy_imported": 5000}, ""),
    "HALL-1": ("sdm", {**SDM_VALUES, "active_power_a": 1.5, "active_power": 1.5}, "active_energy_imported"),
    "HALL-2": ("sdm", {**SDM_VALUES, "active_power_a": 3.0, "active_power": 3.0}, "active_energy_imported"),
    "METER": ("dsmr", P1_VALUES, "active_energy_imported_1"),
    "G01": ("dsmr", {"volume": 4473.981}, ""),
}
NOW = datetime.now(UTC).replace(second=0, microsecond=0)
Values = dict[str, dict[str, list[float]]]


def time_of(number: int) -> datetime:
    """The stamp of a round, for devices that send one."""
    return NOW - timedelta(minutes=10 * (len(ROUNDS) - number))


def clock_of(number: int) -> str:
    """The clock of a P1 meter, from an hour ago on, in winter or summer time as it is in the Netherlands."""
    local = (NOW - timedelta(hours=1) + timedelta(seconds=10 * number)).astimezone(ZoneInfo("Europe/Amsterdam"))
    return f"{local:%y%m%d%H%M%S}{'S' if local.dst() else 'W'}"


def expected(payload: Mapping[str, float], more: float) -> dict[str, float]:
    """What is stored of a round: registers rise, all else stays."""
    return {key: round(value + more, 9) if "energy" in key else value for key, value in payload.items()}


def mqtt_round(number: int) -> Iterator[tuple[str, str, bool]]:
    """What is published in a round: (topic, payload, whether it is retained)."""
    for family, messages in sent(time_of(number), ROUNDS[number]).items():
        for topic, content in messages:
            yield topic, json.dumps(content) if isinstance(content, dict) else content, family in VALUE_PER_TOPIC


def push_round(pusher: Pusher, number: int) -> None:
    """Push a round as the services and devices do; 200 says that it is stored."""
    at, more = time_of(number), ROUNDS[number]
    ttn = {
        "end_device_ids": {"device_id": "well-1"}, "correlation_ids": [f"as:up:{number}"],
        "received_at": at.isoformat().replace("+00:00", ".123456789Z"), "uplink_message": {
            "normalized_payload": [{"air": {"temperature": 11.5}, "battery": 3.6}],
            "decoded_payload": {"energy": 10.25 + more}, "rx_metadata": [{"rssi": -90}],
        },
    }  # fmt: skip
    chirpstack = {
        "deduplicationId": f"push-{number}", "time": at.isoformat(), "deviceInfo": {"devEui": "a84041c2d1870001"},
        "object": {"power": 64.2, "energy": 12.5 + more}, "rxInfo": [{"rssi": -87}],
    }  # fmt: skip
    answers = [pusher.push("ttn", ttn), pusher.push("chirpstack", chirpstack), pusher.push("ttn", ttn)]
    webhook = {
        "src": "shellyplus1pm-webhook", "params.switch:0.apower": "64.2", "params.switch:0.output": "true",
        "params.switch:0.aenergy.total": f"{5312.5 + 1000 * more:.1f}",
    }  # fmt: skip
    answers.append(pusher.client.get("/api/ingest/shelly/", params=webhook))
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]


@pytest.fixture
def using(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """Settings of the stack, whose dialled devices are served while it runs."""
    with ExitStack() as stack:
        sunspec = stack.enter_context(PlayedModbus(sunspec_registers))
        sdm = stack.enter_context(PlayedModbus(sdm_registers))
        p1 = stack.enter_context(PlayedP1(clock_of))
        site = tmp_path / "site.toml"
        quick = SITE.replace("greatest_rate = 4", "greatest_rate = 100000")
        site.write_text(DIALLED.format(sunspec=sunspec.port, sdm=sdm.port, p1=p1.port) + quick + FAST)
        yield Settings.model_validate(
            {
                **settings.model_dump(), "push_port": free_port(), "greenpower_site": site,
                "greenpower_plugins": ",".join(TYPES), "device_timezone": "UTC",
            }
        )  # fmt: skip


class Viewer:
    """What a dashboard is told live: by type and device the newest values."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.values: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for name in TYPES:
            browser.subscribe("*", name)

    def listen(self) -> None:
        """Take what has come."""
        with suppress(Empty):
            while True:
                event, data = self._browser.inbox.get_nowait()
                for message in data if event == "reading" else ():
                    self.values[message["type"], message["device_id"]].update(message["payload"])

    def has(self, name: str, device: str, payload: Mapping[str, float]) -> bool:
        """Whether the newest values are these."""
        self.listen()
        found = self.values[name, device]
        return {key: found.get(key) for key in payload} == dict(payload)


def wait_stored(db: Database[Document], messages: set[tuple[str, str]]) -> None:
    """Wait until each message has its event; none of them may be rejected."""

    def missing() -> set[tuple[str, str]]:
        events = db.telemetry_events.find({}, {"topic": 1, "raw": 1})
        return messages - {(event["topic"], event["raw"]) for event in events}

    wait_until(lambda: not missing(), 60)
    of_these = {"topic": {"$in": [topic for topic, _ in messages]}}
    spoiled = {"$or": [{"outcome": "rejected"}, {"left_out": {"$exists": True}}]}
    assert not list(db.telemetry_events.find({**of_these, **spoiled}))


@pytest.fixture
def registry(using: Settings) -> Registry:
    assert using.greenpower_site is not None
    return discover(read_site(using.greenpower_site), using.greenpower_plugins)


def test_each_value_is_found_wherever_people_look(
    using: Settings, registry: Registry, db: Database[Document], tmp_path: Path
) -> None:
    init_sql(using)
    with ExitStack() as stack:
        started = stack.enter_context(ExitStack())

        def start() -> Command:
            ingest = started.enter_context(Command(using, "ingest", "--mqtt", "--tcp", "--http", folder=tmp_path))
            return ingest.wait_healthy().wait_listening(using.push_port)

        realtime = stack.enter_context(Command(using, "realtime", folder=tmp_path))
        realtime.wait_listening(using.realtime_port)
        browser = Browser(using.realtime_port)
        stack.callback(browser.close)
        viewer = Viewer(browser.connect())
        ingest = start()
        assert using.mqtt_broker is not None
        device = Publisher(using.mqtt_broker, using.mqtt_port, client_id=f"{using.mqtt_client_id}-devices")
        stack.callback(device.close)
        pusher = stack.enter_context(Pusher(using.push_port, make_key(db)))
        messages: set[tuple[str, str]] = set()
        acknowledged: set[int] = set()
        device.client.on_publish = lambda client, data, number, *_: acknowledged.add(number)

        published = {"topic": {"$in": [topic for topic, *_ in mqtt_round(0)]}}

        def publish(number: int, *, breaks: bool = False) -> None:
            burst, numbers = list(mqtt_round(number)), set()
            for place, (topic, payload, retained) in enumerate(burst):
                # Without a connection it is sent when there is one again.
                numbers.add(device.client.publish(topic, payload, qos=1, retain=retained).mid)
                messages.add((topic, payload))
                if breaks and place == len(burst) // 2:
                    line = device.client.socket()
                    assert isinstance(line, socket.socket)
                    line.shutdown(socket.SHUT_RDWR)
            wait_until(lambda: numbers <= acknowledged)

        # In peace; then the devices' connection breaks, and ingest is stopped and started.
        publish(0)
        push_round(pusher, 0)
        wait_stored(db, messages)
        publish(1, breaks=True)
        assert ingest.stop() == 0
        ingest = start()
        push_round(pusher, 1)
        wait_stored(db, messages)
        # A burst waits for an ingest that is killed while it takes it; what is retained comes again with it.
        assert ingest.stop() == 0
        publish(2)
        events = db.telemetry_events.count_documents(published)
        ingest = started.enter_context(Command(using, "ingest", "--mqtt", "--tcp", "--http", folder=tmp_path))
        wait_until(lambda: db.telemetry_events.count_documents(published) > events)
        ingest.kill()
        start()
        push_round(pusher, 2)
        wait_stored(db, messages)
        publish(3)
        push_round(pusher, 3)
        wait_stored(db, messages)
        for name, (type_name, steady, register) in SERVED.items():
            collection, least = db[registry[type_name].collection], 3 if register else 1
            wait_until(lambda c=collection, n=name, m=least: c.count_documents({"device_id": n}) >= m, 60)  # type: ignore[misc]
            wait_until(lambda t=type_name, n=name, p=steady: viewer.has(t, n, p), 60)  # type: ignore[misc]
        for family, devices in STORED.items():
            for name, payload in devices.items():
                newest = expected(payload, ROUNDS[-1])
                wait_until(lambda f=family, n=name, p=newest: viewer.has(f, n, p), 60)  # type: ignore[misc]
        for (family, name), payload in PUSHED.items():
            assert viewer.has(family, name, expected(payload, ROUNDS[-1])), (name, viewer.values[family, name])
        started.close()

    for datatype in registry:
        for plan in make_plans(datatype, using)[:1]:
            run_tier(db, plan, using, clock=lambda: datetime.now(UTC) + timedelta(minutes=10))
    app = create_app(using, registry)
    try:
        api = Api(app, using)
        for family, devices in STORED.items():
            for name, payload in devices.items():
                looked_up(api, registry, family, name, [expected(payload, more) for more in ROUNDS])
        for (family, name), payload in PUSHED.items():
            looked_up(api, registry, family, name, [expected(payload, more) for more in ROUNDS])
        for name, (family, steady, register) in SERVED.items():
            played(api, registry, family, name, steady, register)
    finally:
        close_app(app)


def listed(api: Api, registry: Registry, family: str, device: str, resolution: str) -> list[Document]:
    """What a list of the API has of a device, oldest first."""
    span: Document = {"start_time": (NOW - timedelta(hours=2)).isoformat(), "page_size": 1000, "resolution": resolution}
    answer = api.get(f"/api/telemetry/{registry[family].endpoint}/", device_id=device, **span)
    assert answer.status_code == 200, answer.text
    found: list[Document] = answer.get_json()["results"]
    return sorted(found, key=lambda item: item["timestamp"])


def values_of(items: list[Document]) -> dict[str, list[Any]]:
    """The values of each field, in order."""
    found: dict[str, list[Any]] = defaultdict(list)
    for item in items:
        for key, value in item["payload"].items():
            found[key].append(value)
    return found


def latest_and_used(api: Api, registry: Registry, family: str, device: str, register: str) -> tuple[Document, float]:
    """The newest values of a device, and what its register says was used."""
    path = f"/api/telemetry/{registry[family].endpoint}/"
    (latest,) = api.get(f"{path}latest/", device_id=device).get_json()["results"]
    if not register:
        return latest["payload"], 0.0
    span: Document = {
        "start_time": (NOW - timedelta(hours=2)).isoformat(), "end_time": (NOW + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    answer = api.get(f"{path}consumption/", device_id=device, field=register, **span)
    assert answer.status_code == 200, answer.text
    return latest["payload"], answer.get_json()["devices"][0]["total"]


def looked_up(api: Api, registry: Registry, family: str, device: str, rounds: list[dict[str, float]]) -> None:
    """Every value of a device that sent rounds, in all places."""
    raw = values_of(listed(api, registry, family, device, "raw"))
    buckets = values_of(listed(api, registry, family, device, "1m"))
    assert raw.keys() == buckets.keys() == rounds[0].keys(), device
    register = COUNTERS.get(family, "active_energy")
    latest, used = latest_and_used(api, registry, family, device, register if register in rounds[0] else "")
    for key in rounds[0]:
        of_rounds = [sent_values[key] for sent_values in rounds]
        # Values that come one by one may come twice, where the devices' connection broke.
        assert sorted({*raw[key]}) == sorted({*of_rounds}), (device, key)
        if "energy" not in key:
            assert {*buckets[key]} == {of_rounds[0]}, (device, key)
        else:
            assert min(of_rounds) <= buckets[key][0] <= buckets[key][-1] == of_rounds[-1], (device, key)
        assert latest[key] == of_rounds[-1], (device, key)
    if register in rounds[0]:
        assert used == pytest.approx(ROUNDS[-1] - ROUNDS[0]), (device, register)


def played(api: Api, registry: Registry, family: str, device: str, steady: Mapping[str, float], register: str) -> None:
    """Every value of a device that was dialled, in all places: what stays is the same in all, a register rises."""
    raw = values_of(listed(api, registry, family, device, "raw"))
    buckets = values_of(listed(api, registry, family, device, "1m"))
    latest, used = latest_and_used(api, registry, family, device, register)
    for key, value in steady.items():
        assert {*raw[key]} == {*buckets[key]} == {latest[key]} == {value}, (device, key)
    if register:
        counts = raw[register]
        assert counts == sorted(counts) and len({*counts}) > 2, device
        assert buckets[register][-1] == latest[register] == counts[-1]
        assert used == pytest.approx(counts[-1] - counts[0]), device
