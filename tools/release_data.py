"""`python -m tools.release_data FOLDER`: a small backup of this release, with what its API answers of it.

Runs the stack with embedded servers, sends readings of one device of each data type through the broker, has them rolled
up, makes a user, a zone, a device and a correction, and writes `FOLDER/backup/` and `FOLDER/answers.json`: what was
asked, and the answers. tests/backup/test_releases.py restores it with the code of later releases.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import httpx

from greenpower import __version__
from greenpower.catalog.registry import Registry, load_registry
from greenpower.measure.windows import floor
from greenpower.simulator.device import CannotSimulate, frames, make_devices
from tests.ingest.conftest import Publisher
from tests.stack.up import Up, running
from tests.wait import wait_until

USERNAME, PASSWORD = "release", "data-of-a-release"
HOURS, EVERY = 18, timedelta(minutes=15)
SIX_HOURS = 21_600
RESOLUTIONS = {60: "1m", 600: "10m", 1_800: "30m", 10_800: "3h", 21_600: "6h"}
# What is different at every look, or is said of today.
VOLATILE = {
    "next",
    "previous",
    "last_login_at",
    "last_used_at",
    "status",
    "last_heard",
    "age_seconds",
    "as_of",
    "updated_at",
}

Document = dict[str, Any]


class Api:
    """The API of a stack, as its administrator."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, timeout=60)
        token = self.send("POST", "/api/users/token/", {"username": USERNAME, "password": PASSWORD})
        self.client.headers["Authorization"] = f"Bearer {token['access']}"

    def send(self, method: str, path: str, body: Document | None = None) -> Any:
        """The answer to a request. Raises httpx.HTTPStatusError."""
        response = self.client.request(method, path, json=body)
        if response.is_error:
            raise SystemExit(f"{method} {path}: {response.status_code} {response.text}")
        return response.json()


def questions(registry: Registry, begin: datetime, end: datetime) -> list[str]:
    """The paths whose answers are kept."""
    span = {"start_time": begin.isoformat(), "end_time": end.isoformat()}
    found = ["/api/devices/?page_size=100", "/api/service-zones/", "/api/users/", "/api/corrections/?page_size=100"]
    found.append("/api/telemetry/events/?page_size=500")
    # Their readings have the time of arrival.
    found.append("/api/telemetry/environment-data/?resolution=raw&order=asc")
    for datatype in registry:
        path = f"/api/telemetry/{datatype.endpoint}/"
        if datatype.endpoint is None or not datatype.open:
            continue
        for resolution in ("raw", *(RESOLUTIONS[tier.window] for tier in datatype.tiers if tier.window is not None)):
            asked = {**span, "resolution": resolution, "order": "asc", "page_size": 1000}
            found.append(f"{path}?{urlencode(asked)}")
        if any(field.kind.has_energy for field in datatype.fields):
            for bucket in ("hour", "day"):
                asked = {**span, "bucket": bucket, "tz": "Asia/Dhaka"}
                found.append(f"{path}consumption/?{urlencode(asked)}")
    return found


def without_volatile(value: Any) -> Any:
    """An answer without what changes by itself."""
    if isinstance(value, dict):
        return {key: without_volatile(item) for key, item in value.items() if key not in VOLATILE}
    return [without_volatile(item) for item in value] if isinstance(value, list) else value


def send_readings(up: Up, registry: Registry, begin: datetime, end: datetime) -> int:
    """Publish the readings of one device of each data type. Returns how many packets there are."""
    zone, sent = ZoneInfo(up.environment["DEVICE_TIMEZONE"]), 0
    publisher = Publisher("127.0.0.1", int(up.environment["MQTT_PORT"]))
    for datatype in registry:
        try:
            device = make_devices(datatype, 1, 0, zone)[0]
        except CannotSimulate:
            continue  # it is dialled, or dials in
        at = begin
        while at < end:
            for topic, payload in frames(device, at):
                publisher.send(topic, payload)
                sent += 1
            at += EVERY
    publisher.flush()
    publisher.close()
    return sent


def change_things(api: Api, begin: datetime) -> None:
    """What people make: a zone, a device in it, a correction."""
    zone = api.send("POST", "/api/service-zones/", {"name": "Mill"})
    devices = api.send("GET", "/api/devices/?type=rt")["results"]
    device = devices[0]
    api.send("PATCH", f"/api/devices/{device['id']}/", {"name": "Main meter", "zone_id": zone["id"]})
    correction = {
        "type": "rt",
        "field": "total_active_energy",
        "kind": "factor",
        "begin": (begin + timedelta(hours=4)).isoformat(),
        "end": (begin + timedelta(hours=9)).isoformat(),
        "factor": 2.0,
        "reason": "a current transformer of the wrong ratio",
    }
    api.send("POST", f"/api/devices/{device['id']}/corrections/", correction)


def write(folder: Path) -> None:
    """Make the backup and the answers."""
    now = datetime.now(UTC)
    # All windows of the readings are over, and nothing changes in them any more.
    end = floor(now, SIX_HOURS) - timedelta(seconds=SIX_HOURS)
    begin = end - timedelta(hours=HOURS)
    registry = load_registry(None)
    # What no tier of today may drop while it is made.
    kept = {"ADMIN_USERNAME": USERNAME, "ADMIN_PASSWORD": PASSWORD, "MONGO_TODAY_TTL_SECONDS": "864000"}
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-release-") as home,
        running(Path(home) / "home", "--no-simulator", **kept) as up,
    ):
        up.line("ready")
        sent = send_readings(up, registry, begin, end)
        api = Api(f"http://127.0.0.1:{up.environment['API_PORT']}")
        events = "/api/telemetry/events/?" + urlencode({"start_time": begin.isoformat(), "page_size": 1})
        wait_until(lambda: api.send("GET", events)["count"] >= sent, 120)
        wait_until(lambda: api.send("GET", "/api/devices/?type=rt")["count"], 120)
        change_things(api, begin)
        run(up, "rollups", "run")
        run(up, "rollups", "run")
        asked = questions(registry, begin, end - timedelta(seconds=1))
        answers = {path: without_volatile(api.send("GET", path)) for path in asked}
        run(up, "backup", str(folder / "backup"))
    about = {"release": __version__, "made_at": now.isoformat(), "username": USERNAME, "password": PASSWORD}
    text = json.dumps({**about, "answers": answers}, separators=(",", ":"), sort_keys=True)
    (folder / "answers.json").write_text(text + "\n")


def run(up: Up, *command: str) -> None:
    """A command beside the stack."""
    subprocess.run([sys.executable, "-m", "greenpower", *command], env=up.environment, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write(folder.absolute())


if __name__ == "__main__":
    main()
