"""The Postman collection against the real API, run by newman: green, without a change, and with a token that it renews.

`make openapi` installs newman.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from greenpower.api.system.postman import SAFE_POSTS
from greenpower.cli.docs import POSTMAN
from greenpower.cli.init import init_mongo, init_sql
from greenpower.config import Settings
from tests.api.test_generated_clients import SCRIPT, TOOLS, is_ready
from tests.blocks import ROOT
from tests.need import need
from tests.process import environment
from tests.wait import wait_until

NEWMAN = TOOLS / "node_modules" / ".bin" / "newman"
PASSWORD = "correct horse"
TARIFF = {
    "name": "Day and night", "currency": "EUR", "timezone": "Europe/Berlin", "valid_from": "2026-01-01",
    "rates": [{"name": "always", "price": "0.3"}],
}  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An API, and how its administrator calls it."""

    address: str
    http: httpx.Client
    refresh: str

    def make(self, path: str, **fields: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.http.post(path, json=fields).raise_for_status().json()
        return made

    def everything(self) -> list[Any]:
        """What a change would show in."""
        paths = ("users/", "devices/", "api-keys/", "service-zones/", "corrections/", "incidents/")
        found = [self.http.get(f"/api/{path}").raise_for_status().json()["results"] for path in paths]
        for row in (row for rows in found for row in rows):
            row.pop("last_used_at", None)
            row.pop("last_login_at", None)
        return found


@pytest.fixture
def served(settings: Settings, tmp_path: Path) -> Iterator[Served]:
    need(NEWMAN.is_file(), "there is no newman: make openapi")
    init_sql(settings)
    init_mongo(settings)
    log = (tmp_path / "api.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "api"], env=environment(settings), stdout=log, stderr=subprocess.STDOUT
    )
    address = f"http://127.0.0.1:{settings.api_port}"
    try:
        wait_until(lambda: is_ready(address), 60)
        login = {"username": "admin", "password": PASSWORD}
        tokens = httpx.post(f"{address}/api/users/token/", json=login, timeout=60).raise_for_status().json()
        headers = {"Authorization": f"Bearer {tokens['access']}"}
        with httpx.Client(base_url=address, headers=headers, timeout=60) as http:
            yield Served(address=address, http=http, refresh=tokens["refresh"])
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def newman(collection: Path, folder: Path, *options: str, **variables: str) -> list[dict[str, Any]]:
    """Run a collection; what was sent, each with its assertions. It must end well."""
    report = folder / "report.json"
    given = [part for name, value in variables.items() for part in ("--env-var", f"{name}={value}")]
    done = subprocess.run(
        [str(NEWMAN), "run", str(collection), *given, *options, "--color", "off", "--reporters", "cli,json",
         "--reporter-json-export", str(report)],
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    executions: list[dict[str, Any]] = json.loads(report.read_text())["run"]["executions"]
    return [execution for execution in executions if "response" in execution]


def sent(executions: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Method and path of each request."""
    return {
        (execution["request"]["method"], "/" + "/".join(execution["request"]["url"]["path"]))
        for execution in executions
    }


def test_newman_runs_the_whole_collection_green_and_changes_nothing(served: Served, tmp_path: Path) -> None:
    zone = served.make("/api/service-zones/", name="North")
    device = served.make("/api/devices/", device_id="33B1225950027", zone_id=zone["id"])
    key = served.make("/api/api-keys/", name="reader", scopes=["telemetry:read"])
    push_key = served.make("/api/push-keys/", name="pusher")
    tariff = served.make("/api/energy/tariffs/", **TARIFF)
    rule = served.make("/api/alarms/rules/", name="silent", kind="silence")
    silence = served.make("/api/alarms/silences/", reason="maintenance")
    part = {"type": "eny_now", "device_id": "33B1225950027", "field": "zygsz"}
    point = served.make("/api/energy/points/", name="Grid", role="grid_import", parts=[part])
    period = served.make("/api/energy/periods/", month="2026-03")
    channel = served.make("/api/notifications/channels/", name="Team", url="json://127.0.0.1:9")
    schedule = served.make("/api/energy/report-schedules/", name="Month", channels=[channel["id"]])
    target = {"kind": "webhook", "address": "https://example.org/x", "content": "readings", "enabled": False}
    target = served.make("/api/outbound/targets/", name="Target", **target)
    user = served.http.get("/api/users/me/").json()
    before = served.everything()
    executions = newman(
        ROOT / POSTMAN,
        tmp_path,
        baseUrl=served.address,
        password=PASSWORD,
        device=str(device["id"]),
        zone_id=str(zone["id"]),
        user_id=str(user["id"]),
        key_id=str(key["id"]),
        key=key["key"],
        client_id=key["public_id"],
        push_key=str(push_key["id"]),
        tariff_id=str(tariff["id"]),
        rule_id=str(rule["id"]),
        silence_id=str(silence["id"]),
        point_id=str(point["id"]),
        period_id=str(period["id"]),
        channel_id=str(channel["id"]),
        schedule_id=str(schedule["id"]),
        target_id=str(target["id"]),
    )
    assert served.everything() == before
    assert all(execution["assertions"] for execution in executions)
    there = [item for folder in json.loads((ROOT / POSTMAN).read_text())["item"] for item in folder["item"]]
    unknown = ("incident", "correction", "exchange", "command_id", "upload_id", "at", "claim", "alarm_id")
    wanted = {
        item["name"]
        for item in there
        if item["request"]["method"] == "GET"
        and not any(f'"{name}"' in json.dumps(item["event"][0]).replace("\\", "") for name in unknown)
    }
    assert len(wanted) > 60 and wanted <= {execution["item"]["name"] for execution in executions}
    assert {path for method, path in sent(executions) if method != "GET"} == set(SAFE_POSTS)


def test_a_token_that_ends_soon_is_renewed_by_script(served: Served, tmp_path: Path) -> None:
    collection = json.loads((ROOT / POSTMAN).read_text())
    soon = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 5}).encode()).decode().rstrip("=")
    for variable in collection["variable"]:
        if variable["key"] in ("access", "refresh"):
            variable["value"] = f"x.{soon}.x" if variable["key"] == "access" else served.refresh
    file = tmp_path / "collection.json"
    file.write_text(json.dumps(collection))
    executions = newman(file, tmp_path, "--folder", "Your account", "--folder", "Roles", baseUrl=served.address)
    # Renewed once: a second use of the same refresh token would end the session.
    assert sent(executions) == {("GET", "/api/users/me/"), ("GET", "/api/roles/")}
