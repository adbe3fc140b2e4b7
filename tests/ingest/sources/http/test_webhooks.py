"""What services and devices push in the forms that they have: The Things Network's webhook, and the addresses that
Shelly devices call. Their forms are those of the public documentation, the values are ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvloop
from prometheus_client import CollectorRegistry
from pymongo.database import Database

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType, Field, Frame, FrameError, Http, Reading, decode_object, parse_stamp
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.http.source import make
from greenpower.ingest.sources.source import SourceKit
from greenpower.loops import Loops
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from tests.ingest.conftest import Document
from tests.ingest.sources.http.pusher import make_key

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)


def read_uplink(frame: Frame) -> tuple[Reading, ...]:
    """An uplink message of The Things Stack."""
    message = decode_object(frame.payload)
    uplink = message.get("uplink_message")
    if not isinstance(uplink, dict):
        raise FrameError("no-uplink", "a message without uplink_message")
    ids = message["end_device_ids"]
    reading = Reading(
        device_id=ids["device_id"],
        values=uplink["decoded_payload"],
        stamp=parse_stamp(uplink["received_at"][:23] + "Z"),
        message_id=f"{uplink['session_key_id']}-{uplink['f_cnt']}",
    )
    return (reading,)


def read_report(frame: Frame) -> tuple[Reading, ...]:
    """The parameters of a sensor's report; all values are texts."""
    values = decode_object(frame.payload)
    device = values.pop("id", frame.device)
    if device is None:
        raise FrameError("no-id", "no id in the report")
    return (Reading(device_id=device, values=values),)


TTN = DataType(
    name="soil", title="Soil sensors", collection="soil_data", match=(Http("ttn"),),
    fields=(Field("temperature", unit="°C"), Field("battery", unit="V")), parse=read_uplink, stale_after=3600,
)  # fmt: skip
SHELLY = DataType(
    name="shelly_ht", title="Shelly H&T", collection="shelly_ht_data", match=(Http("shelly"),),
    fields=(Field("temp", unit="°C"), Field("hum", unit="%"), Field("power", unit="kW", source="apower")),
    parse=read_report, stale_after=3600,
)  # fmt: skip
REGISTRY = Registry.of(TTN, SHELLY)


def uplink(device: str, count: int, time: datetime, **values: float) -> Document:
    """A webhook of The Things Stack v3, with what matters here and some of the rest."""
    received = time.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    return {
        "end_device_ids": {
            "device_id": device, "application_ids": {"application_id": "farm"}, "dev_eui": "70B3D57ED0000001",
            "join_eui": "0000000000000000", "dev_addr": "260B0001",
        },
        "correlation_ids": ["as:up:01H", "rpc:/ttn.lorawan.v3.AppAs/SimulateUplink:01H"],
        "received_at": received,
        "uplink_message": {
            "session_key_id": "AYfg8t==", "f_port": 2, "f_cnt": count, "frm_payload": "AQID",
            "decoded_payload": values, "received_at": received, "consumed_airtime": "0.056576s",
            "rx_metadata": [{"gateway_ids": {"gateway_id": "roof"}, "rssi": -103, "snr": 7.2}],
            "settings": {"data_rate": {"lora": {"bandwidth": 125000, "spreading_factor": 7}}},
        },
    }  # fmt: skip


def run(settings: Settings, scenario: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    """Run against the source, with the real pipeline and MongoDB."""
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], REGISTRY, settings)

    async def go() -> None:
        async with async_client(settings) as client:
            metrics = IngestMetrics()
            db = client[settings.mongo_db_name]
            pipeline = Pipeline(registry=REGISTRY, settings=settings, db=db, metrics=metrics)
            registry = CollectorRegistry()
            kit = SourceKit(admission=Admission(settings, registry), loops=Loops(), metrics=registry)
            source = make(settings, REGISTRY, pipeline, kit)
            assert source is not None
            await source.start()
            try:
                async with httpx.AsyncClient(base_url=f"http://{source.listening_to}", timeout=60) as sender:
                    await scenario(sender)
            finally:
                await source.stop()
                await pipeline.drain()
                await source.close()

    uvloop.run(go())


def payloads(db: Database[Document], collection: str) -> list[tuple[str, dict[str, Any]]]:
    return [(found["device_id"], found["payload"]) for found in db[collection].find().sort("timestamp")]


def test_the_things_network(settings: Settings, db: Database[Document]) -> None:
    """One key for the whole application; a webhook that is tried again is stored once; a join is no reading."""
    key = make_key(db, claims=["ttn"])

    async def scenario(sender: httpx.AsyncClient) -> None:
        async def hook(message: Document) -> httpx.Response:
            headers = {"Authorization": f"Bearer {key}", "User-Agent": "TheThingsStack/3.29.0 (linux/amd64)"}
            return await sender.post("/api/ingest/ttn/", json=message, headers=headers)

        first = uplink("soil-1", 7, NOW, temperature=11.5, battery=3.62)
        answers = await asyncio.gather(hook(first), hook(first), hook(uplink("soil-2", 9, NOW, temperature=9.25)))
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        again = await hook(first)
        assert again.status_code == 200 and again.json()["duplicate"] == 1
        joined = await hook({"end_device_ids": {"device_id": "soil-1"}, "join_accept": {"session_key_id": "AYfg"}})
        assert joined.status_code == 422 and joined.json()["rejections"][0]["reason"] == "no-uplink"

    run(settings, scenario)
    assert sorted(payloads(db, "soil_data")) == [
        ("soil-1", {"temperature": 11.5, "battery": 3.62}), ("soil-2", {"temperature": 9.25}),
    ]  # fmt: skip
    assert db.soil_data.distinct("timestamp") == [NOW + timedelta(milliseconds=123)]


def test_shelly(settings: Settings, db: Database[Document]) -> None:
    """Gen1 sensors add their values to an address, Gen2 devices fill in one that is given; neither sets a header. The
    key is in the address, and nothing keeps it."""
    key = make_key(db, claims=["shelly"])
    own = make_key(db, claims=["shelly"], devices=["shelly-plug-9"])

    async def scenario(sender: httpx.AsyncClient) -> None:
        report = f"/api/ingest/shelly/?key={key}&hum=54&temp=21.38&id=shellyht-F5B3A1"
        assert (await sender.get(report)).json()["stored"] == 1
        webhook = f"/api/ingest/shelly/?key={own}&apower=0.0642"
        assert (await sender.get(webhook)).json()["stored"] == 1
        foreign = f"/api/ingest/shelly/?key={own}&apower=1&id=shellyht-F5B3A1"
        assert (await sender.get(foreign)).status_code == 422
        assert (await sender.get(f"/api/ingest/shelly/?key={key}")).status_code == 422

    run(settings, scenario)
    assert payloads(db, "shelly_ht_data") == [
        ("shellyht-F5B3A1", {"hum": 54, "temp": 21.38}), ("shelly-plug-9", {"power": 0.0642}),
    ]  # fmt: skip
    events = list(db.telemetry_events.find({}))
    assert len(events) == 3 and not [event for event in events if "gpush" in json.dumps(event, default=str)]
