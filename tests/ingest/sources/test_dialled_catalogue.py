"""Plugins of the catalogue whose devices are dialled: what their devices send, against a running ingest."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from pymongo.database import Database

from greenpower.framing.rtu import crc16
from greenpower.stack.port import free_port
from tests.framing.test_obis import FAILURES, GAS, HEAD
from tests.framing.test_sunspec import COMMON, INVERTER, METER, Map
from tests.ingest.conftest import Document
from tests.ingest.played import DIALLED
from tests.ingest.sources.gateway import Listen
from tests.ingest.sources.modbus_server import ModbusServer
from tests.ingest.sources.test_dialled import words
from tests.wait import wait_until


def telegram(kilowatt_hours: int, second: int) -> bytes:
    """What the meter says in a second, in summer time."""
    clock = f"0-0:1.0.0(260729{second // 3600 % 24:02d}{second // 60 % 60:02d}{second % 60:02d}S)\r\n"
    energy = f"1-0:1.8.1({kilowatt_hours:06d}.500*kWh)\r\n1-0:21.7.0(00.250*kW)\r\n1-0:32.7.0(231.5*V)\r\n"
    body = HEAD + clock.encode() + energy.encode() + FAILURES + GAS + b"!"
    return body + f"{crc16(body, 0):04X}\r\n".encode()


@contextmanager
def p1_server() -> Iterator[int]:
    """A serial server: whoever connects gets telegrams from the middle of one on, in pieces; each third is damaged, and
    after five the connection breaks. Its port."""
    seconds = count(36_000)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        connection.sendall(telegram(1, 0)[30:])
                        for number in range(5):
                            data = telegram(100 + number, next(seconds))
                            if number % 3 == 2:
                                data = data.replace(b"*kW)", b"*kw)")
                            for at in range(0, len(data), 50):
                                connection.sendall(data[at : at + 50])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]


def sdm(kilowatts: float, kilowatt_hours: float) -> dict[str, dict[int, int]]:
    found = dict.fromkeys(range(1, 81), 0)
    for number, value in ((1, 230.5), (13, 1000 * kilowatts), (53, 1000 * kilowatts), (71, 50), (73, kilowatt_hours)):
        found |= {number + at: content for at, content in enumerate(words("f", value))}
    return {"ir": found}


def test_sunspec_sdm_and_dsmr(listen: Listen, db: Database[Document], tmp_path: Path) -> None:
    device = Map(COMMON, INVERTER, METER)
    registers = {device.base + at: content for at, content in enumerate(device.words)}
    over_tcp, over_rtu = free_port(), free_port()
    with (
        ModbusServer(over_tcp, {1: {"hr": registers}}),
        ModbusServer(over_rtu, {1: sdm(1.5, 100.25), 2: sdm(-0.25, 7)}, "rtu"),
        p1_server() as p1,
    ):
        (tmp_path / "site.toml").write_text(DIALLED.format(sunspec=over_tcp, sdm=over_rtu, p1=p1))
        listen(greenpower_site=tmp_path / "site.toml")

        def one(collection: str, name: str) -> Document:
            payload: Document = wait_until(lambda: db[collection].find_one({"device_id": name}) or {})["payload"]
            return payload

        inverter = one("sunspec_data", "ROOF")
        assert (inverter["active_power"], inverter["active_energy"], inverter["operating_state"]) == (8.52, 1234567, 4)
        meter = one("sunspec_data", "ROOF-meter")
        assert (meter["active_power"], meter["active_energy_imported"]) == (-2.76, 5000)
        for name, kilowatts, energy in (("HALL-1", 1.5, 100.25), ("HALL-2", -0.25, 7)):
            found = one("sdm_data", name)
            assert (found["active_power"], found["active_energy_imported"]) == (kilowatts, energy)
        electricity = one("dsmr_data", "METER")
        assert (electricity["active_power_imported_a"], electricity["voltage_a"]) == (0.25, 231.5)
        assert one("dsmr_data", "G01") == {"volume": 4473.981}
        wait_until(lambda: db.dsmr_data.count_documents({"device_id": "METER"}) >= 6)
        stored = {
            reading["payload"]["active_energy_imported_1"] for reading in db.dsmr_data.find({"device_id": "METER"})
        }
        assert stored <= {100.5, 101.5, 103.5, 104.5}, "none with a wrong checksum"
        wait_until(lambda: db.telemetry_events.find_one({"type": "dsmr", "reason": "wrong-crc"}))
