"""The OpenAPI text as other people's tools see it: three validators, and clients generated from it.

The Python client writes the bill of a month of three meters, against the real API, and it equals the registers. The
TypeScript one compiles. `make openapi` installs the tools.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from pymongo import MongoClient

from greenpower.cli.docs import api_schema
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from tests.blocks import ROOT
from tests.need import need
from tests.process import environment
from tests.wait import wait_until

TOOLS = ROOT / "tools" / "openapi"
PYTHON_TOOLS = ROOT / ".venv" / "opt" / "openapi" / "bin"
SCRIPT = "from greenpower.cli.main import main; main()"
ZONE = "Asia/Dhaka"
START = datetime(2026, 9, 1, tzinfo=ZoneInfo(ZONE))
END = datetime(2026, 10, 1, tzinfo=ZoneInfo(ZONE))
METERS = {"33B1225950027": 0.1, "33B1225950028": 12.5, "33B1225950029": 0.0}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openapi") / "schema.json"
    path.write_text(json.dumps(api_schema()))
    return path


def run(*command: str | Path, cwd: Path = TOOLS) -> str:
    """What a tool prints; it must end well."""
    program = Path(command[0])
    need(program.is_file(), f"there is no {program.name}: make openapi")
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_validators_find_no_error(schema: Path) -> None:
    node = TOOLS / "node_modules" / ".bin"
    run(PYTHON_TOOLS / "openapi-spec-validator", schema)
    run(node / "redocly", "lint", "--config", "redocly.yaml", schema)
    run(node / "spectral", "lint", "--ruleset", "spectral.yaml", "--fail-severity", "warn", schema)


def test_a_typescript_client_compiles_strictly(schema: Path, tmp_path: Path) -> None:
    node = TOOLS / "node_modules" / ".bin"
    run(node / "openapi-typescript", schema, "-o", tmp_path / "schema.d.ts")
    for name in ("bill.ts", "tsconfig.json"):
        (tmp_path / name).write_text((TOOLS / name).read_text())
    (tmp_path / "node_modules").symlink_to(TOOLS / "node_modules")
    run(node / "tsc", "-p", tmp_path)


@pytest.fixture
def served(settings: Settings, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The address of an API that has a month of the meters, and a key for it."""
    init_sql(settings)
    with MongoClient[Any](settings.need("MONGO_DB_URI")) as client:
        client[settings.mongo_db_name]["grid_eny_now_data"].insert_many(month())
    log = (tmp_path / "api.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "api"], env=environment(settings), stdout=log, stderr=subprocess.STDOUT
    )
    address = f"http://127.0.0.1:{settings.api_port}"
    try:
        wait_until(lambda: is_ready(address), 60)
        login = {"username": settings.admin_username, "password": settings.admin_password.get_secret_value()}
        token = httpx.post(f"{address}/api/users/token/", json=login, timeout=60).json()["access"]
        wish = {"name": "bill", "scopes": ["telemetry:read"]}
        made = httpx.post(
            f"{address}/api/api-keys/", json=wish, headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        yield address, made.json()["key"]
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/api/health/", timeout=60).status_code in (200, 503)
    except httpx.HTTPError:
        return False


def month() -> list[dict[str, Any]]:
    """A register every three hours, from the day before the month to the day after it."""
    first, readings = START - timedelta(days=1), []
    for device, rise in METERS.items():
        for number in range((END - START).days * 8 + 17):
            readings.append(
                {
                    "device_id": device,
                    "topic": "MQTT_ENY_NOW",
                    "timestamp": (first + timedelta(hours=3 * number)).astimezone(UTC),
                    "received_at": datetime.now(UTC),
                    "updated_at": datetime.now(UTC),
                    "payload": {"zygsz": round(1000 + rise * number, 3)},
                    "complete": True,
                }
            )
    return readings


def test_a_generated_python_client_bills_what_the_registers_show(
    schema: Path, served: tuple[str, str], tmp_path: Path
) -> None:
    run(PYTHON_TOOLS / "openapi-python-client", "generate", "--path", schema, "--output-path", tmp_path / "client")
    address, key = served
    python, file = PYTHON_TOOLS / "python", tmp_path / "bill.csv"
    done = subprocess.run(
        [python, TOOLS / "bill.py", address, key, START.isoformat(), END.isoformat(), ZONE, file, *METERS],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "client")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(file.read_text("utf-8").splitlines()))
    assert [row["device_id"] for row in rows] == list(METERS)
    steps = (END - START) // timedelta(hours=3)
    for row, rise in zip(rows, METERS.values(), strict=True):
        assert float(row["kwh"]) == pytest.approx(rise * steps, abs=1e-9), row
