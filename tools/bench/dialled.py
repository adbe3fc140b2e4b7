"""Bench of devices that are dialled: what 500 meters over Modbus, a round each ten seconds, cost ingest.

The meters are behind 50 hosts, all played by a process of its own. Beside the processor time of `greenpower ingest` in
a window stands that of a bare asyncio client that asks the same registers in the same rhythm and throws the answers
away.
`python -m tools.bench.dialled` prints the rows.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.datatype import Dialled
from greenpower.framing.poll import ModbusPoll
from greenpower.stack import Mongod, Mosquitto
from greenpower.stack.port import free_port
from tests.process import Command
from tests.wait import wait_until
from tools.bench.ingest import Bench, BenchError

Row = dict[str, Any]
HOSTS, DEVICES_PER_HOST = 50, 10
EVERY_SECONDS = 10.0
TYPE, COLLECTION = "solar", "solar_data"
REQUEST_BYTES = 12
#: of a core, so that there is room for all else
CORE_GOAL = 0.5


def poll() -> ModbusPoll:
    """What is asked of each."""
    found = get_registry()[TYPE].parse
    assert isinstance(found, ModbusPoll)
    return found


async def play(ports: list[int]) -> None:
    """The hosts: each answers what it is asked, in the registers of the poll."""
    values = {field.name: 1.5 for field in get_registry()[TYPE].fields}
    answers = {request.encoded[6:]: poll().answer(request.encoded, values) for request in requests()}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = await reader.readexactly(REQUEST_BYTES)
                known = answers[b"\1" + asked[7:]]
                writer.write(asked[:2] + known[2:6] + asked[6:7] + known[7:])
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    servers = [await asyncio.start_server(serve, "127.0.0.1", port) for port in ports]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def requests() -> tuple[Any, ...]:
    """The requests of a round."""
    return poll().polled(Dialled(protocol="modbus", host="x", device="x")).requests


async def ask(ports: list[int], seconds: float) -> int:
    """The floor: the same questions in the same rhythm. Returns how many rounds were answered."""
    questions = [request.encoded for request in requests()]
    sizes = [request.answer_size for request in requests()]
    end, rounds = time.monotonic() + seconds, 0

    async def host(port: int) -> None:
        nonlocal rounds
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.monotonic()) < end:
            for unit in range(1, DEVICES_PER_HOST + 1):
                for question, size in zip(questions, sizes, strict=True):
                    writer.write(question[:6] + bytes([unit]) + question[7:])
                    await reader.readexactly(size)
                rounds += 1
            await asyncio.sleep(max(0.0, min(began + EVERY_SECONDS, end) - time.monotonic()))
        writer.close()

    await asyncio.gather(*(host(port) for port in ports))
    return rounds


def site(path: Path, ports: list[int]) -> Path:
    """The site file with all of them."""
    lines = []
    for number, port in enumerate(ports):
        devices = ", ".join(
            f'{{ type = "{TYPE}", device = "D{number:02}-{unit}", unit = {unit} }}'
            for unit in range(1, DEVICES_PER_HOST + 1)
        )
        lines += ["[[modbus]]", 'host = "127.0.0.1"', f"port = {port}", f"every = {EVERY_SECONDS:g}"]
        lines += [f"devices = [{devices}]"]
    path.write_text("\n".join(lines) + "\n")
    return path


def run(quick: bool = True) -> list[Row]:
    """Processor time of a round and the share of a core, of ingest and of the floor."""
    seconds = EVERY_SECONDS * (3 if quick else 12)
    ports = [free_port() for _ in range(HOSTS)]
    command = [sys.executable, "-m", "tools.bench.dialled", "play", *map(str, ports)]
    with tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder:
        home = Path(folder)
        players = subprocess.Popen(command)
        try:
            with Mongod(home / "mongod") as mongod, Mosquitto(home / "mosquitto") as mosquitto:
                bench = Bench(home, mongod, mosquitto)
                ours, rounds = _ingest(bench, site(home / "site.toml", ports), mongod.uri, seconds)
            before = time.process_time()
            bare_rounds = asyncio.run(ask(ports, seconds))
            bare = time.process_time() - before
        finally:
            players.kill()
            players.wait()
    due = HOSTS * DEVICES_PER_HOST * seconds / EVERY_SECONDS
    if rounds < 0.9 * due:
        raise BenchError(f"{rounds} rounds of {due:.0f} were done within the rhythm")
    of = f"{HOSTS * DEVICES_PER_HOST} dialled meters, a round each {EVERY_SECONDS:g} s"
    return [
        {"name": f"{of}, share of a core", "share": ours / seconds, "goal": CORE_GOAL},
        {"name": f"{of}, processor time of a round", "us_per_frame": 1e6 * ours / rounds},
        {"name": "the same of a bare client that asks the same", "us_per_frame": 1e6 * bare / max(1, bare_rounds)},
    ]


def _ingest(bench: Bench, path: Path, uri: str, seconds: float) -> tuple[float, int]:
    """Processor time of ingest in a window, and the rounds that it stored in it."""
    settings = bench.settings().model_copy(update={"greenpower_site": path})
    with MongoClient[Row](uri) as client, Command(settings, "ingest", "--tcp", folder=bench.home) as command:
        command.wait_healthy()
        readings = client[settings.mongo_db_name][COLLECTION]
        wait_until(lambda: readings.estimated_document_count() >= HOSTS * DEVICES_PER_HOST)
        process = psutil.Process(command.process.pid)
        before, began, count = process.cpu_times(), datetime.now(UTC), readings.estimated_document_count()
        wait_until(lambda: (datetime.now(UTC) - began).total_seconds() >= seconds, 2 * seconds, every=0.2)
        after, rounds = process.cpu_times(), readings.estimated_document_count() - count
        command.stop()
    return after.user + after.system - before.user - before.system, rounds


if __name__ == "__main__":
    if sys.argv[1:2] == ["play"]:
        asyncio.run(play([int(port) for port in sys.argv[2:]]))
    else:
        for row in run("--full" not in sys.argv):
            print(row)
