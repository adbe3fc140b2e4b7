"""The audit over the API: every route that changes something writes an entry; who may read it; pages and files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from pydantic import SecretStr

from greenpower.alarms.subject import device_subject
from greenpower.api.http.openapi import operations
from greenpower.app import create_app
from greenpower.catalog.registry import Registry, load_registry
from greenpower.cli import audit as audit_command
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.sql import RoleName
from greenpower.sql.confirmation import add_heard
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.alarms.one_alarm import raised_alarm
from tests.api.conftest import KEY, close_app
from tests.api.test_roles import PUBLIC
from tests.api.world import PASSWORD, SqlApi
from tests.rollups.world import POWER

Document = dict[str, Any]
# What a scenario gives: the path to ask, and the body.
Request = tuple[str, Document | None]
RECENT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
numbers = count(1)
AREA = {"unit": "m²", "values": [{"valid_from": "2026-01-01", "value": "100"}]}


class Site(SqlApi):
    """The API with all core routes, and things to change."""

    def name(self, what: str) -> str:
        return f"{what}{next(numbers)}"

    def make(self, path: str, **body: Any) -> Document:
        made: Document = self.good("POST", path, body, code=201)
        return made

    def device(self, *types: str) -> Document:
        return self.make("/api/devices/", device_id=self.name("d"), types=list(types))

    def heard(self) -> str:
        """The id of a device that nobody confirmed."""
        device_id = self.name("heard")
        with self.app.app_context():
            add_heard(db.session, {device_id: ["rt"]})
        return device_id

    def zone(self) -> Document:
        return self.make("/api/service-zones/", name=self.name("zone"))

    def other_user(self) -> Document:
        return self.make("/api/users/", username=self.name("user"), password=PASSWORD, role="viewer")

    def key(self) -> Document:
        return self.make("/api/api-keys/", name=self.name("key"), scopes=["telemetry:read"])

    def of_device(self, part: str, body: Document, *, types: tuple[str, ...] = ("power",)) -> tuple[str, Document]:
        """The path of a list of a new device, and the body."""
        return f"/api/devices/{self.device(*types)['id']}/{part}/", body

    def one_of_device(self, part: str, found: str, path_and_body: tuple[str, Document]) -> str:
        """The path of one thing of a device, made by a request. found: the list that has it."""
        path, body = path_and_body
        made = self.good("POST", path, body, code=201)
        number = made["results"][0]["id"] if "results" in made else made["id"]
        return f"{path.removesuffix(part + '/')}{found}/{number}/"

    def incident(self) -> str:
        device = self.device("power")
        document = {
            "_id": ObjectId(), "type": "power", "device_id": device["device_id"], "field": "c", "at": RECENT,
            "swap": False, "incident": "suspect_step", "status": "open", "current": True, "value": 9.0, "before": 1.0,
            "updated_at": RECENT,
        }  # fmt: skip
        self.database.counter_incidents.insert_one(document)
        return f"/api/devices/{device['id']}/incidents/{document['_id']}/"

    def finding(self) -> str:
        document = {
            "_id": ObjectId(), "device_id": self.device("power")["device_id"], "circuit": "", "check": "frequency",
            "name": "frequency", "phases": [], "certainty": "sure", "saw": "25 Hz", "figures": {}, "faulty": 9,
            "samples": 9, "follows": "", "first_seen": RECENT, "last_seen": RECENT, "state": "open", "current": True,
        }  # fmt: skip
        self.database.wiring_findings.insert_one(document)
        return f"/api/devices/findings/{document['_id']}/dismiss/"

    def new_point(self) -> Document:
        part = {"type": "power", "device_id": self.device("power")["device_id"], "field": "c"}
        return {"name": self.name("point"), "role": "load", "parts": [part]}

    def point(self) -> int:
        number: int = self.make("/api/energy/points/", **self.new_point())["id"]
        return number

    def proposal(self) -> str:
        """The path of a proposal of a point of a new device."""
        device: str = self.device("power")["device_id"]
        reading = {"device_id": device, "topic": "T", "timestamp": RECENT, "payload": {"c": 5.0}}
        self.database[POWER.collection].insert_one(reading)
        return "/api/energy/points/proposal/"

    def new_tariff(self) -> Document:
        return {"name": self.name("tariff"), "currency": "EUR", **VERSION, "valid_from": "2026-01-01"}

    def new_rule(self) -> Document:
        return {"name": self.name("rule"), "kind": "silence", "params": {}}

    def rule(self) -> str:
        return f"/api/alarms/rules/{self.make('/api/alarms/rules/', **self.new_rule())['id']}/"

    def silence(self) -> str:
        return f"/api/alarms/silences/{self.make('/api/alarms/silences/', reason='x')['id']}/"

    def alarm(self) -> str:
        alarm = raised_alarm(device_subject("power", self.name("heard")), RECENT)
        self.database.alarms.insert_one(alarm)
        return f"/api/alarms/{alarm['_id']}/acknowledge/"

    def tariff(self) -> int:
        number: int = self.make("/api/energy/tariffs/", **self.new_tariff())["id"]
        return number

    def second_version(self) -> str:
        path = f"/api/energy/tariffs/{self.tariff()}/versions/"
        return f"{path}{self.make(path, **VERSION)['versions'][-1]['id']}/"

    def factor(self) -> str:
        day = f"20{next(numbers) % 80 + 10}-01-01"
        made = self.make("/api/energy/emission-factors/", **{**FACTOR, "valid_from": day})
        return f"/api/energy/emission-factors/{made['id']}/"

    def channel(self) -> str:
        """The path of a notification channel."""
        made = self.make("/api/notifications/channels/", name=self.name("channel"), url="json://127.0.0.1:9/x")
        return f"/api/notifications/channels/{made['id']}/"

    def new_schedule(self) -> Document:
        return {"name": self.name("schedule"), "channels": [int(self.channel().split("/")[-2])]}

    def schedule(self) -> str:
        """The path of a report schedule."""
        return (
            f"/api/energy/report-schedules/{self.make('/api/energy/report-schedules/', **self.new_schedule())['id']}/"
        )

    def target(self) -> str:
        """The path of an outbound target."""
        made = self.make("/api/outbound/targets/", **{**TARGET, "name": self.name("target")})
        return f"/api/outbound/targets/{made['id']}/"

    def divisor(self) -> str:
        """The path of a divisor."""
        made = self.make("/api/energy/divisors/", name=self.name("divisor"), **AREA)
        return f"/api/energy/divisors/{made['id']}/"

    def period(self) -> str:
        zone = self.zone()["id"]
        made = self.make("/api/energy/periods/", month="2026-03", zone_id=zone)
        return f"/api/energy/periods/{made['id']}/reopen/"

    def entries(self, **query: Any) -> list[Document]:
        found: list[Document] = self.get("/api/audit/", page_size=1000, **query).get_json()["results"]
        return found


VERSION: Document = {"valid_from": "2026-07-01", "rates": [{"name": "day", "price": "0.25"}]}
TARGET: Document = {"kind": "webhook", "address": "https://u:argon2@example.org/x", "content": "readings"}
FACTOR: Document = {"valid_from": "2026-01-01", "kg_per_unit": "0.363"}
CORRECTION: Document = {
    "type": "power", "field": "c", "kind": "exclusion", "begin": RECENT.isoformat(),
    "end": (RECENT + timedelta(hours=1)).isoformat(), "reason": "why",
}  # fmt: skip
SWAP: Document = {"type": "power", "at": RECENT.isoformat(), "readings": {"c": {"last": 9.0, "first": 1.0}}}
EXCHANGE: Document = {"at": RECENT.isoformat(), "readings": {"power": {"c": {"last": 9, "first": 1}}}, "reason": "old"}
LATER: Document = {"at": (RECENT + timedelta(minutes=5)).isoformat(), "reason": "mistyped"}
COMMAND: Document = {"command": "set_interval", "parameters": {"interval": 60}}


def _correction(site: Site) -> str:
    return site.one_of_device("corrections", "corrections", site.of_device("corrections", CORRECTION))


def _swap(site: Site) -> str:
    return site.one_of_device("meter-swaps", "meter-swaps", site.of_device("meter-swaps", SWAP))


def _exchange(site: Site) -> str:
    return site.one_of_device("meter-exchange", "meter-exchanges", site.of_device("meter-exchange", EXCHANGE))


def _own_password(site: Site) -> Request:
    return "/api/users/me/password/", {"old": "correct horse", "new": PASSWORD}


# Each route that changes something, the type of its entry, and how to ask it.
CHANGING: dict[str, tuple[str, Callable[[Site], Request]]] = {
    "POST /api/users/": (
        "user", lambda s: ("/api/users/", {"username": s.name("u"), "password": PASSWORD, "role": "viewer"}),
    ),
    "PATCH /api/users/{}/": ("user", lambda s: (f"/api/users/{s.other_user()['id']}/", {"role": "operator"})),
    "DELETE /api/users/{}/": ("user", lambda s: (f"/api/users/{s.other_user()['id']}/", None)),
    "POST /api/users/me/password/": ("user", _own_password),
    "POST /api/api-keys/": (
        "api_key", lambda s: ("/api/api-keys/", {"name": s.name("k"), "scopes": ["telemetry:read"]}),
    ),
    "PATCH /api/api-keys/{}/": ("api_key", lambda s: (f"/api/api-keys/{s.key()['id']}/", {"zones": []})),
    "DELETE /api/api-keys/{}/": ("api_key", lambda s: (f"/api/api-keys/{s.key()['id']}/", None)),
    "POST /api/push-keys/": ("push_key", lambda s: ("/api/push-keys/", {"name": s.name("k")})),
    "DELETE /api/push-keys/{}/": (
        "push_key", lambda s: (f"/api/push-keys/{s.make('/api/push-keys/', name=s.name('k'))['id']}/", None),
    ),
    "POST /api/devices/": ("device", lambda s: ("/api/devices/", {"device_id": s.name("n")})),
    "PATCH /api/devices/{}/": ("device", lambda s: (f"/api/devices/{s.device()['id']}/", {"name": "x"})),
    "DELETE /api/devices/{}/": ("device", lambda s: (f"/api/devices/{s.device()['id']}/", None)),
    "POST /api/devices/confirm/": ("device", lambda s: ("/api/devices/confirm/", {"device_ids": [s.heard()]})),
    "DELETE /api/devices/unconfirmed/": ("device", lambda s: (f"/api/devices/unconfirmed/?prefix={s.heard()}", None)),
    "POST /api/telemetry/import/": (
        "import",
        lambda s: (
            "/api/telemetry/import/?type=power&new_devices=true",
            {"device_id": s.name("d"), "timestamp": "2024-01-31T12:00Z", "c": 1},
        ),
    ),
    "POST /api/service-zones/": ("service_zone", lambda s: ("/api/service-zones/", {"name": s.name("z")})),
    "PATCH /api/service-zones/{}/": (
        "service_zone", lambda s: (f"/api/service-zones/{s.zone()['id']}/", {"description": "x"}),
    ),
    "DELETE /api/service-zones/{}/": ("service_zone", lambda s: (f"/api/service-zones/{s.zone()['id']}/", None)),
    "POST /api/energy/divisors/": ("divisor", lambda s: ("/api/energy/divisors/", {"name": s.name("d"), **AREA})),
    "PATCH /api/energy/divisors/{}/": ("divisor", lambda s: (s.divisor(), {"unit": "ft²"})),
    "DELETE /api/energy/divisors/{}/": ("divisor", lambda s: (s.divisor(), None)),
    "POST /api/energy/periods/": (
        "closed_period", lambda s: ("/api/energy/periods/", {"month": "2026-03", "zone_id": s.zone()["id"]}),
    ),
    "POST /api/energy/periods/{}/reopen/": ("closed_period", lambda s: (s.period(), {"reason": "x"})),
    "POST /api/energy/points/": ("meter_point", lambda s: ("/api/energy/points/", s.new_point())),
    "POST /api/energy/points/proposal/": ("meter_point", lambda s: (s.proposal(), None)),
    "POST /api/energy/points/table/": (
        "meter_point", lambda s: ("/api/energy/points/table/", {"table": f"device,type\n{s.name('new')},power\n"}),
    ),
    "PATCH /api/energy/points/{}/": (
        "meter_point", lambda s: (f"/api/energy/points/{s.point()}/", {"description": "x"}),
    ),
    "DELETE /api/energy/points/{}/": ("meter_point", lambda s: (f"/api/energy/points/{s.point()}/", None)),
    "POST /api/alarms/rules/": ("alarm_rule", lambda s: ("/api/alarms/rules/", s.new_rule())),
    "PATCH /api/alarms/rules/{}/": ("alarm_rule", lambda s: (s.rule(), {"for_s": 60})),
    "DELETE /api/alarms/rules/{}/": ("alarm_rule", lambda s: (s.rule(), None)),
    "POST /api/alarms/silences/": ("alarm_silence", lambda s: ("/api/alarms/silences/", {"reason": "x"})),
    "PATCH /api/alarms/silences/{}/": ("alarm_silence", lambda s: (s.silence(), {"reason": "y"})),
    "DELETE /api/alarms/silences/{}/": ("alarm_silence", lambda s: (s.silence(), None)),
    "POST /api/alarms/{}/acknowledge/": ("alarm", lambda s: (s.alarm(), {"note": "x"})),
    "POST /api/energy/tariffs/": ("tariff", lambda s: ("/api/energy/tariffs/", s.new_tariff())),
    "PATCH /api/energy/tariffs/{}/": (
        "tariff", lambda s: (f"/api/energy/tariffs/{s.tariff()}/", {"is_default": True}),
    ),
    "DELETE /api/energy/tariffs/{}/": ("tariff", lambda s: (f"/api/energy/tariffs/{s.tariff()}/", None)),
    "POST /api/energy/tariffs/{}/versions/": (
        "tariff_version", lambda s: (f"/api/energy/tariffs/{s.tariff()}/versions/", VERSION),
    ),
    "DELETE /api/energy/tariffs/{}/versions/{}/": ("tariff_version", lambda s: (s.second_version(), None)),
    "POST /api/energy/emission-factors/": ("emission_factor", lambda s: ("/api/energy/emission-factors/", FACTOR)),
    "DELETE /api/energy/emission-factors/{}/": ("emission_factor", lambda s: (s.factor(), None)),
    "POST /api/notifications/channels/": (
        "notification_channel",
        lambda s: ("/api/notifications/channels/", {"name": s.name("c"), "url": "mailto://u:argon2@h?to=a@example.org"}),
    ),
    "PATCH /api/notifications/channels/{}/": (
        "notification_channel", lambda s: (s.channel(), {"url": "mailto://u:argon2@h?to=a@example.org"}),
    ),
    "DELETE /api/notifications/channels/{}/": ("notification_channel", lambda s: (s.channel(), None)),
    "POST /api/notifications/channels/{}/test/": ("notification_channel", lambda s: (f"{s.channel()}test/", None)),
    "POST /api/energy/report-schedules/": (
        "report_schedule", lambda s: ("/api/energy/report-schedules/", s.new_schedule()),
    ),
    "PATCH /api/energy/report-schedules/{}/": ("report_schedule", lambda s: (s.schedule(), {"formats": ["pdf"]})),
    "DELETE /api/energy/report-schedules/{}/": ("report_schedule", lambda s: (s.schedule(), None)),
    "POST /api/outbound/targets/": (
        "outbound_target", lambda s: ("/api/outbound/targets/", {**TARGET, "name": s.name("target")}),
    ),
    "PATCH /api/outbound/targets/{}/": (
        "outbound_target", lambda s: (s.target(), {"address": "https://u:argon2@example.org/y"}),
    ),
    "DELETE /api/outbound/targets/{}/": ("outbound_target", lambda s: (s.target(), None)),
    "POST /api/outbound/targets/{}/test/": ("outbound_target", lambda s: (f"{s.target()}test/", None)),
    "POST /api/devices/{}/commands/": ("command", lambda s: s.of_device("commands", COMMAND, types=("rt",))),
    "PATCH /api/devices/{}/incidents/{}/": (
        "incident", lambda s: (s.incident(), {"status": "confirmed", "reason": "seen"}),
    ),
    "POST /api/devices/findings/{}/dismiss/": ("wiring_finding", lambda s: (s.finding(), {"note": "a test bench"})),
    "POST /api/devices/{}/corrections/": ("correction", lambda s: s.of_device("corrections", CORRECTION)),
    "PATCH /api/devices/{}/corrections/{}/": (
        "correction",
        lambda s: (_correction(s), {"end": (RECENT + timedelta(minutes=5)).isoformat(), "reason": "x"}),
    ),
    "DELETE /api/devices/{}/corrections/{}/": ("correction", lambda s: (_correction(s), None)),
    "POST /api/devices/{}/meter-swaps/": ("meter_swap", lambda s: s.of_device("meter-swaps", SWAP)),
    "PATCH /api/devices/{}/meter-swaps/{}/": ("meter_swap", lambda s: (_swap(s), LATER)),
    "DELETE /api/devices/{}/meter-swaps/{}/": ("meter_swap", lambda s: (_swap(s), None)),
    "POST /api/devices/{}/meter-exchange/": ("meter_exchange", lambda s: s.of_device("meter-exchange", EXCHANGE)),
    "PATCH /api/devices/{}/meter-exchanges/{}/": ("meter_exchange", lambda s: (_exchange(s), LATER)),
    "DELETE /api/devices/{}/meter-exchanges/{}/": (
        "meter_exchange", lambda s: (f"{_exchange(s)}?reason=x", None),
    ),
}  # fmt: skip


@contextmanager
def serving_site(home: Path, mongod: Mongod, name: str, kind: type[Site] = Site) -> Iterator[Site]:
    """The API with databases of its own."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=home,
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name=name,
        api_rate_limit="",
        api_login_limit="",
        api_account_limit="",
    )
    init_sql(settings)
    registry = Registry.of(replace(POWER, endpoint="power-data"), *load_registry(None))
    app = create_app(settings, registry)
    site = kind(app, settings)
    ensure_indexes(site.database, list(registry), settings)
    yield site
    site.database.client.drop_database(site.database.name)
    close_app(app)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    with serving_site(tmp_path_factory.mktemp("audit"), mongod, "test_audit") as site:
        yield site


def changing_routes(site: Site) -> set[str]:
    """All routes of the API that change something and need a token."""
    schema = site.client.get("/api/schema/").get_json()
    return {
        f"{method.upper()} {re.sub(r'{[^}]*}', '{}', path)}"
        for path, method, _ in operations(schema)
        if method not in ("get", "head") and path not in PUBLIC
    }


def test_every_route_that_changes_something_is_asked_here(site: Site) -> None:
    assert changing_routes(site) == {*CHANGING}


@pytest.mark.parametrize("route", CHANGING)
def test_each_change_is_in_the_audit(site: Site, route: str) -> None:
    kind, prepare = CHANGING[route]
    path, body = prepare(site)
    newest = max((entry["id"] for entry in site.entries()), default=0)
    token = None
    if "password" in route:
        name = site.name("self")
        token = site.user(name, RoleName.ADMIN)["access"]
        body = {"old": PASSWORD, "new": PASSWORD + "!"}
    request_id = site.name("request-number-")
    answer = site.ask(route.partition(" ")[0], path, body, token=token, **{"X-Request-ID": request_id})
    assert answer.status_code in (200, 201, 204), answer.text
    found = [entry for entry in site.entries() if entry["id"] > newest and entry["request_id"] == request_id]
    # A proposal makes a point of each device that has none.
    [entry, *more] = [entry for entry in found if entry["object_type"] == kind]
    assert not more or "proposal" in route
    assert (entry["actor_kind"], entry["address"]) == ("user", "127.0.0.1")
    assert entry["actor"] == ("admin" if token is None else name)
    assert entry["object_name"] and (entry["before"] or entry["after"]) and entry["before"] != entry["after"]
    for secret in (PASSWORD, "argon2", "correct horse"):
        assert secret not in json.dumps(found)
    if route.startswith("DELETE"):
        assert entry["action"] in ("delete", "revoke")
    newest = max(item["id"] for item in found)
    refused = site.ask(route.partition(" ")[0], path, body, token="x")
    assert refused.status_code == 401 and site.entries()[0]["id"] == newest


def test_what_is_refused_leaves_no_entry(site: Site) -> None:
    newest = site.entries()[0]["id"]
    for path, body, code in (
        ("/api/users/", {"username": "admin", "password": PASSWORD, "role": "viewer"}, 409),
        ("/api/service-zones/", {"name": ""}, 422),
        ("/api/devices/999999/corrections/", CORRECTION, 404),
    ):
        assert site.ask("POST", path, body).status_code == code
    assert site.entries()[0]["id"] == newest


def test_a_key_is_named_and_its_secret_is_not_in_it(site: Site) -> None:
    key = site.make("/api/api-keys/", name="writer", scopes=["service-zones:write"])
    token = site.client.post("/api/api-keys/token/", json={"key": key["key"]}).get_json()["access"]
    zone = site.good("POST", "/api/service-zones/", {"name": site.name("by-key")}, code=201, token=token)
    [entry] = site.entries(object_type="service_zone", object_id=zone["id"], object_name=zone["name"])
    assert (entry["actor_kind"], entry["actor"]) == ("key", f"key-{key['public_id']}")
    assert key["key"].rpartition("_")[2] not in json.dumps(site.entries())


def test_the_list_is_filtered_and_new_entries_move_no_page(site: Site) -> None:
    device = site.device("power")
    for name in ("one", "two", "three"):
        site.good("PATCH", f"/api/devices/{device['id']}/", {"name": name})
    found = site.entries(object_name=device["device_id"])
    assert [(e["action"], (e["after"] or {}).get("name")) for e in found] == [
        ("change", "three"), ("change", "two"), ("change", "one"), ("create", ""),
    ]  # fmt: skip
    assert found[0]["before"] == {"name": "two"}
    assert [e["id"] for e in site.entries(object_name=device["device_id"], action="create")] == [found[-1]["id"]]
    assert site.entries(actor="nobody") == []
    since, until = found[1]["at"], found[1]["at"]
    assert {e["id"] for e in site.entries(object_name=device["device_id"], start_time=since)} >= {found[0]["id"]}
    assert found[0]["id"] not in {e["id"] for e in site.entries(end_time=until)} or found[0]["at"] == until
    page = site.get("/api/audit/", page_size=2, object_name=device["device_id"]).get_json()
    seen = [entry["id"] for entry in page["results"]]
    while page["next"]:
        site.good("PATCH", f"/api/devices/{device['id']}/", {"name": site.name("newer")})
        page = site.get(page["next"]).get_json()
        seen += [entry["id"] for entry in page["results"]]
    assert seen == [entry["id"] for entry in found]


def test_only_administrators_read_it(site: Site) -> None:
    token = site.user(site.name("olga"), RoleName.OPERATOR)["access"]
    for path in ("/api/audit/", "/api/audit/export/"):
        assert site.get(path, token=token).status_code == 403
        assert site.client.get(path).status_code == 401
        assert site.ask("DELETE", path).status_code == 405


def test_all_of_it_is_exported(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("greenpower.sql.audit_read.AUDIT_BATCH_ROWS", 3)
    zone = site.make("/api/service-zones/", name=f"=cmd|' /C calc'!A{next(numbers)}")
    wanted = list(reversed(site.entries()))
    lines = [json.loads(line) for line in site.get("/api/audit/export/").text.splitlines()]
    assert [line["id"] for line in lines] == [entry["id"] for entry in wanted]
    assert lines[-1]["after"] == wanted[-1]["after"] and lines[-1]["at"].endswith("Z")
    answer = site.get("/api/audit/export/", format="csv", object_type="service_zone")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["id"]) for row in rows] == [e["id"] for e in wanted if e["object_type"] == "service_zone"]
    assert rows[-1]["object_name"] == f"'{zone['name']}"
    assert json.loads(rows[-1]["after"])["name"] == zone["name"]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'


def test_the_console_shows_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_command, "load_settings", lambda: site.settings)
    device = site.device("power")

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(audit_command.audit, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    table = run("--name", device["device_id"], "--what", "device").splitlines()
    assert len(table) == 2 and device["device_id"] in table[1] and "admin" in table[1]
    [line] = run("--name", device["device_id"], "--format", "ndjson").splitlines()
    assert json.loads(line)["after"]["device_id"] == device["device_id"]
    assert run("--who", "nobody", "--format", "csv").splitlines()[1:] == []
    assert run("--until", "2020-01-01", "--format", "ndjson") == ""
    # The first administrator was made by whom `greenpower init` is run by.
    first = json.loads(run("--what", "user", "--name", "admin", "--format", "ndjson").splitlines()[0])
    assert first["actor_kind"] == "console" and first["actor"].startswith("cli:") and first["address"] is None
