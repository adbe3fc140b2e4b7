"""Devices that ingest connects to, played by a Modbus server that is not ours."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from struct import pack, unpack

from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.datatype import Frame
from greenpower.stack.port import free_port
from tests.ingest.conftest import Document
from tests.ingest.sources.gateway import VALUES, Listen
from tests.ingest.sources.modbus_server import ModbusServer
from tests.process import Command
from tests.wait import wait_until


def words(layout: str, *values: float) -> list[int]:
    data = pack(f">{len(values)}{layout}", *values)
    return list(unpack(f">{len(data) // 2}H", data))


def solar_registers(amperes: float) -> dict[str, dict[int, int]]:
    """The registers of a meter with VALUES, but for its first current."""
    values = [value for name, value in VALUES.items() if name.startswith(("current", "active_power"))]
    found: dict[int, int] = {}
    for first, contents in (
        (3000, words("f", amperes, *values[1:5])),
        (3054, words("f", *values[5:8])),
        (3204, words("q", VALUES["active_energy_delivered"], VALUES["active_energy_received"])),
    ):  # fmt: skip
        found |= {first + at: content for at, content in enumerate(contents)}
    return {"hr": found}


def site(path: Path, *hosts: tuple[int, str, dict[str, int]]) -> Path:
    """A site file that has these hosts dialled every second: (port, framing, {device: unit})."""
    lines = []
    for port, framing, devices in hosts:
        named = ", ".join(f'{{ type = "solar", device = "{name}", unit = {unit} }}' for name, unit in devices.items())
        lines += [
            "[[modbus]]", 'host = "127.0.0.1"', f"port = {port}", f'framing = "{framing}"', "every = 1", "timeout = 1",
            "silence = 5", f"devices = [{named}]",
        ]  # fmt: skip
    path.write_text("\n".join(lines))
    return path


def newest(db: Database[Document], device: str, after: datetime) -> Document:
    """Wait for a reading of a device that is newer."""
    query = {"device_id": device, "timestamp": {"$gt": after}}
    return wait_until(lambda: list(db.solar_data.find(query).sort("timestamp", -1).limit(1)))[0]


def dialled(command: Command) -> Document:
    """The part of ingest's health."""
    part: Document = command.health()["parts"]["dialled"]
    return part


def test_devices_over_tcp_and_rtu_and_one_that_never_answers(
    listen: Listen, db: Database[Document], tmp_path: Path
) -> None:
    over_tcp, over_rtu, nobody = free_port(), free_port(), free_port()
    began = datetime.now(UTC)
    with (
        ModbusServer(over_tcp, {1: solar_registers(11), 7: solar_registers(17)}),
        ModbusServer(over_rtu, {2: solar_registers(12)}, "rtu"),
        socket.create_server(("127.0.0.1", 0)) as dumb,
    ):
        hosts = (
            (over_tcp, "tcp", {"ROOF-1": 1, "ROOF-7": 7}),
            (over_rtu, "rtu", {"ROOF-2": 2}),
            (dumb.getsockname()[1], "tcp", {"ROOF-3": 1}),
            (nobody, "tcp", {"ROOF-4": 1}),
        )
        command = listen(greenpower_site=site(tmp_path / "site.toml", *hosts))
        for device, amperes in (("ROOF-1", 11), ("ROOF-7", 17), ("ROOF-2", 12)):
            reading = newest(db, device, began)
            assert reading["payload"] == {**VALUES, "current_a": amperes}
            assert reading["complete"] is True
            assert newest(db, device, reading["timestamp"])["payload"]["current_a"] == amperes, "it goes on"
        wait_until(lambda: dialled(command)["failing"].get(f"127.0.0.1:{nobody}"))
        part = wait_until(lambda: (found := dialled(command))["hosts"] == 4 and found)
        assert part["ok"]
        [event, *_] = wait_until(lambda: list(db.telemetry_events.find({"device_id": "ROOF-2", "outcome": "stored"})))
        assert (event["topic"], event["type"]) == ("modbus/solar/ROOF-2", "solar")
        frame = Frame(topic=event["topic"], payload=bytes.fromhex(event["raw"]), device="ROOF-2")
        (again,) = get_registry()["solar"].parse(frame)
        assert again.values == {**VALUES, "current_a": 12}, "its event can be read again"
        wait_until(lambda: db.telemetry_events.find_one({"topic": "modbus/solar/ROOF-3", "reason": "no-answer"}))
        wait_until(lambda: db.ingest_watch.find_one({"sources": "dialled"}))


def test_a_device_that_is_away_and_an_ingest_that_starts_again(
    listen: Listen, db: Database[Document], tmp_path: Path
) -> None:
    port = free_port()
    path = site(tmp_path / "site.toml", (port, "rtu", {"ROOF-9": 1}))
    server = ModbusServer(port, {1: solar_registers(1)}, "rtu")
    with server:
        command = listen(greenpower_site=path)
        newest(db, "ROOF-9", datetime.min.replace(tzinfo=UTC))
        server.end()
        wait_until(lambda: not dialled(command)["connected"])
    with ModbusServer(port, {1: solar_registers(2)}, "rtu"):
        wait_until(lambda: db.solar_data.find_one({"device_id": "ROOF-9", "payload.current_a": 2}))
        command.end()
        last = newest(db, "ROOF-9", datetime.min.replace(tzinfo=UTC))
        listen(greenpower_site=path)
        assert newest(db, "ROOF-9", last["timestamp"])["payload"]["current_a"] == 2
