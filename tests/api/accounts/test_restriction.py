"""Restricting users and keys over the API: it holds at once, with numbers of the zone, and others pay nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from sqlalchemy import event
from werkzeug.test import TestResponse

from greenpower.api.http.context import get_context
from greenpower.app import create_app
from greenpower.bus.revocation import is_revoked
from greenpower.bus.visibility import read_visible
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.schema.layout import SEEN, ensure_indexes
from greenpower.sql.extensions import db
from greenpower.stack import Mongod, Valkey
from tests.api.conftest import KEY, close_app, refused
from tests.api.world import PASSWORD, SqlApi
from tests.rollups.world import POWER, run_all

Document = dict[str, Any]
DEVICES, LATEST = "/api/devices/", "/api/telemetry/power-data/latest/"
BEGIN = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
#: kWh in each hour, of the meters of the hall, of the shop in the hall, and of the yard
EACH = {"hall": 6, "shop": 2, "yard": 1}


class Site(SqlApi):
    """Two zones with meters and points; the shop lies in the hall, but its point pays by a point of the yard."""

    zones: dict[str, int]
    devices: dict[str, int]
    points: dict[str, int]
    redis_url: str

    def make(self, path: str, **body: Any) -> int:
        number: int = self.good("POST", path, body, code=201)["id"]
        return number

    def fill(self) -> None:
        self.zones = {"hall": self.make("/api/service-zones/", name="hall")}
        self.zones["shop"] = self.make("/api/service-zones/", name="shop", parent_id=self.zones["hall"])
        self.zones["yard"] = self.make("/api/service-zones/", name="yard")
        tariff = self.make(
            "/api/energy/tariffs/", name="T", currency="EUR", valid_from="2020-01-01",
            rates=[{"name": "all", "price": "0.5"}], standing=[{"name": "base", "price": "3", "per": "day"}],
        )  # fmt: skip
        self.devices, self.points = {}, {}
        for name, each in EACH.items():
            zone = self.zones[name]
            self.devices[name] = self.make(DEVICES, device_id=name, types=["power"], zone_id=zone)
            rows = [
                {
                    "device_id": name, "topic": "T", "timestamp": BEGIN + timedelta(minutes=5 * (step - 1)),
                    "received_at": BEGIN, "updated_at": BEGIN, "complete": True,
                    "payload": {"c": 100 + each * step / 12},
                }
                for step in range(37)
            ]  # fmt: skip
            self.database[POWER.collection].insert_many(rows)
            key = f"power|{name}"
            self.database[SEEN].insert_one({"_id": key, "type": "power", "device_id": name, "last_heard": BEGIN})
        for name, above, own in (("yard", None, tariff), ("hall", "yard", None), ("shop", "hall", None)):
            part = {"type": "power", "device_id": name, "field": "c"}
            parent = None if above is None else self.points[above]
            self.points[name] = self.make(
                "/api/energy/points/", name=name, role="load", parts=[part], zone_id=self.zones[name],
                parent_id=parent, tariff_id=own,
            )  # fmt: skip
        with self.app.app_context():
            run_all(self.database, [POWER], get_context().settings)

    def guest(self, name: str, *zones: tuple[str, str]) -> str:
        """The token of a user who is restricted to zones."""
        roles = [{"zone_id": self.zones[zone], "role": role} for zone, role in zones]
        self.make("/api/users/", username=name, password=PASSWORD, role="viewer", zones=roles)
        token: str = self.log_in(name, PASSWORD).get_json()["access"]
        return token

    def number(self, name: str) -> int:
        users = self.good("GET", "/api/users/?page_size=1000")["results"]
        number: int = next(user["id"] for user in users if user["username"] == name)
        return number

    def restrict(self, name: str, zones: list[Document] | None) -> Document:
        found: Document = self.good("PATCH", f"/api/users/{self.number(name)}/", {"zones": zones})
        return found

    def seen(self, token: str, path: str = DEVICES) -> list[str]:
        return [row["device_id"] for row in self.good("GET", path, token=token)["results"]]

    def store(self) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey) -> Iterator[Site]:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("restriction"),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_restriction",
        redis_url=SecretStr(valkey.url),
        api_rate_limit="",
        api_login_limit="",
        api_account_limit="",
    )
    init_sql(settings)
    registry = Registry.of(replace(POWER, endpoint="power-data"))
    app = create_app(settings, registry)
    site = Site(app, settings)
    site.redis_url = valkey.url
    ensure_indexes(site.database, list(registry), settings)
    site.fill()
    yield site
    site.database.client.drop_database(site.database.name)
    close_app(app)


def range_of(**more: Any) -> str:
    texts = {"start_time": BEGIN, "end_time": BEGIN + timedelta(hours=3), "bucket": "hour", "tz": "UTC", **more}
    shown = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in texts.items()}
    return "&".join(f"{name}={value}" for name, value in shown.items()).replace("+", "%2B")


def test_a_zone_includes_those_in_it_and_nothing_else(site: Site) -> None:
    outer, inner = site.guest("outer", ("hall", "viewer")), site.guest("inner", ("shop", "viewer"))
    assert site.seen(outer) == ["hall", "shop"] == site.seen(outer, LATEST)
    assert site.seen(inner) == ["shop"] == site.seen(inner, LATEST)
    zones = site.good("GET", "/api/service-zones/", token=inner)["results"]
    assert [(zone["name"], zone["parent_id"], zone["devices"]) for zone in zones] == [("shop", None, 1)]
    me = site.good("GET", "/api/users/me/", token=inner)
    assert me["role"] == "viewer" and me["zones"] == [{"zone_id": site.zones["shop"], "role": "viewer"}]


def test_numbers_are_those_of_the_zone_and_prices_those_of_the_site(site: Site) -> None:
    token = site.guest("numbers", ("hall", "viewer"))
    for path in ("consumption", "cost", "demand", "emissions"):
        mine = site.good("GET", f"/api/energy/{path}/?{range_of()}", token=token)
        whole = site.good("GET", f"/api/energy/{path}/?{range_of(zone_id=site.zones['hall'])}")
        assert mine == whole, path
    found = site.good("GET", f"/api/energy/consumption/?{range_of()}", token=token)["points"]
    assert {point["name"]: point["total"]["energy"] for point in found} == {"hall": 18.0, "shop": 6.0}
    costs = site.good("GET", f"/api/energy/cost/?{range_of()}", token=token)["points"]
    # The tariff is that of the yard's point, which the caller does not see; inherited, it has prices only.
    assert {point["name"]: point["total"]["amount"] for point in costs} == {"hall": "9", "shop": "3"}
    balance = site.good("GET", f"/api/energy/balance/?{range_of()}", token=token)
    assert balance["total"]["consumption"]["energy"] == 18.0
    assert [(point["name"], point["unmetered"]["energy"]) for point in balance["points"]] == [("hall", 12.0)]
    assert site.good("GET", f"/api/energy/balance/?{range_of()}")["total"]["consumption"]["energy"] == 3.0


def test_a_point_between_that_is_not_seen_is_skipped(site: Site) -> None:
    token = site.guest("ends", ("yard", "viewer"), ("shop", "viewer"))
    balance = site.good("GET", f"/api/energy/balance/?{range_of()}", token=token)
    # The shop's point lies in the hall's, which lies in the yard's.
    assert balance["total"]["consumption"]["energy"] == 3.0
    assert [(point["name"], point["unmetered"]["energy"]) for point in balance["points"]] == [("yard", 3.0 - 6.0)]


def test_a_role_in_a_zone_is_for_that_zone(site: Site) -> None:
    token = site.guest("mixed", ("hall", "viewer"), ("shop", "operator"))
    assert site.seen(token) == ["hall", "shop"]
    named = site.ask("PATCH", f"{DEVICES}{site.devices['shop']}/", {"name": "x"}, token=token)
    assert named.status_code == 200
    assert refused(site.ask("PATCH", f"{DEVICES}{site.devices['hall']}/", {"name": "x"}, token=token), 404)
    for zone, code in ((site.zones["hall"], 422), (site.zones["yard"], 422), (None, 422), (site.zones["shop"], 200)):
        moved = site.ask("PATCH", f"{DEVICES}{site.devices['shop']}/", {"zone_id": zone}, token=token)
        assert moved.status_code == code, moved.text
    viewer = site.guest("reader", ("shop", "viewer"))
    assert refused(site.ask("PATCH", f"{DEVICES}{site.devices['shop']}/", {"name": "x"}, token=viewer), 403)


def test_a_change_holds_at_once(site: Site) -> None:
    token, number = site.guest("changing", ("shop", "viewer")), str(site.number("changing"))
    with site.store() as store:
        assert visible(store, number) == {"shop"}
        # A device that moves out, and in again.
        for zone, seen in (("yard", []), ("shop", ["shop"])):
            site.good("PATCH", f"{DEVICES}{site.devices['shop']}/", {"zone_id": site.zones[zone]})
            assert site.seen(token) == seen == site.seen(token, LATEST)
            assert visible(store, number) == {*seen}
        # A zone that comes to lie elsewhere.
        for parent in (site.zones["shop"], None):
            site.good("PATCH", f"/api/service-zones/{site.zones['yard']}/", {"parent_id": parent})
            assert site.seen(token) == (["shop", "yard"] if parent else ["shop"])
            assert visible(store, number) == ({"shop", "yard"} if parent else {"shop"})
        # Other zones, and none: the login goes on.
        site.restrict("changing", [{"zone_id": site.zones["yard"], "role": "viewer"}])
        assert site.seen(token) == ["yard"] and visible(store, number) == {"yard"}
        site.restrict("changing", [])
        assert site.seen(token) == [] == site.seen(token, LATEST) and visible(store, number) == set()
        # The whole site: another login.
        site.restrict("changing", None)
        assert refused(site.get(DEVICES, token), 401) and visible(store, number) is None
        token = site.log_in("changing", PASSWORD).get_json()["access"]
        assert len(site.seen(token)) == 3
        site.restrict("changing", [{"zone_id": site.zones["yard"], "role": "viewer"}])
        assert refused(site.get(DEVICES, token), 401) and visible(store, number) == {"yard"}


def test_a_zone_that_is_deleted_takes_its_roles_along_and_restricts_on(site: Site) -> None:
    site.zones["gone"] = site.make("/api/service-zones/", name="gone")
    token = site.guest("lost", ("gone", "operator"))
    site.good("DELETE", f"/api/service-zones/{site.zones['gone']}/", code=204)
    assert site.seen(token) == [] and site.good("GET", f"/api/users/{site.number('lost')}/")["zones"] == []
    with site.store() as store:
        assert visible(store, str(site.number("lost"))) == set()


def test_a_key_is_restricted_and_has_no_more_than_its_scopes(site: Site) -> None:
    roles = [{"zone_id": site.zones["shop"], "role": "operator"}]
    made = site.good(
        "POST", "/api/api-keys/", {"name": "k", "scopes": ["devices:read", "telemetry:read"], "zones": roles}, code=201
    )
    assert made["zones"] == roles
    token = site.client.post("/api/api-keys/token/", json={"key": made["key"]}).get_json()["access"]
    direct = site.client.get(DEVICES, headers={"X-API-Key": made["key"]}).get_json()["results"]
    assert site.seen(token) == ["shop"] == [row["device_id"] for row in direct]
    assert refused(site.ask("PATCH", f"{DEVICES}{site.devices['shop']}/", {"name": "x"}, token=token), 403)
    with site.store() as store:
        subject = f"key-{made['public_id']}"
        assert visible(store, subject) == {"shop"}
        path = f"/api/api-keys/{made['id']}/"
        assert site.good("PATCH", path, {"zones": []})["zones"] == []
        assert site.seen(token) == [] and visible(store, subject) == set()
        assert site.good("PATCH", path, {"zones": None})["zones"] is None
        assert len(site.seen(token)) == 3 and visible(store, subject) is None
        assert not is_revoked(store, subject)


def test_what_cannot_be(site: Site) -> None:
    token = site.guest("plain", ("shop", "viewer"))
    path = f"/api/users/{site.number('plain')}/"
    for zones in ([{"zone_id": 999_999, "role": "viewer"}], [{"zone_id": site.zones["shop"], "role": "admin"}]):
        assert site.ask("PATCH", path, {"zones": zones}).status_code == 422
    new = {
        "username": "never",
        "password": PASSWORD,
        "role": "viewer",
        "zones": [{"zone_id": 999_999, "role": "viewer"}],
    }
    assert refused_body(site.ask("POST", "/api/users/", new)) and "never" not in str(site.good("GET", "/api/users/"))
    key = {"name": "never", "scopes": ["devices:read"], "zones": new["zones"]}
    assert refused_body(site.ask("POST", "/api/api-keys/", key)) and "never" not in str(
        site.good("GET", "/api/api-keys/")
    )
    admin = site.number("admin")
    assert refused(site.ask("PATCH", f"/api/users/{admin}/", {"zones": []}), 409)
    # An administrator who is restricted is none.
    site.make("/api/users/", username="second", password=PASSWORD, role="admin", zones=[])
    assert refused(site.ask("PATCH", f"/api/users/{admin}/", {"role": "viewer"}), 409)
    assert refused(site.get("/api/users/", site.log_in("second", PASSWORD).get_json()["access"]), 403)
    assert site.seen(token) == ["shop"]


def test_giving_and_taking_is_in_the_audit(site: Site) -> None:
    site.guest("noted", ("shop", "viewer"))
    number = site.number("noted")
    site.restrict("noted", [{"zone_id": site.zones["shop"], "role": "operator"}])
    site.restrict("noted", None)
    entries = site.good("GET", f"/api/audit/?object_type=user&object_id={number}")["results"]
    changes = [(entry["before"], entry["after"]) for entry in reversed(entries) if entry["action"] == "change"]
    assert changes == [
        ({"zones": []}, {"zones": ["shop: viewer"]}),
        ({"zones": ["shop: viewer"]}, {"zones": ["shop: operator"]}),
        ({"restricted": True, "zones": ["shop: operator"]}, {"restricted": False, "zones": []}),
    ]


def test_who_is_not_restricted_asks_the_databases_no_more(site: Site) -> None:
    token = site.guest("counted", ("hall", "viewer"))
    with statements(site) as of_all:
        site.good("GET", LATEST)
    with statements(site) as of_one:
        site.good("GET", LATEST, token=token)
    assert len(of_all) == 1 and "user_account" in of_all[0]
    # Beside who it is: the roles, how zones lie in one another, the devices.
    assert len(of_one) == 4


def refused_body(response: TestResponse) -> bool:
    """Whether the zones of a body were refused."""
    return response.status_code == 422 and list(response.get_json()["errors"]["json"]) == ["zones"]


def visible(store: redis.Redis, subject: str) -> set[str] | None:
    """What the realtime gateway knows of a user or key; None: nothing."""
    found = read_visible(store, subject)
    return None if found is None else {*found}


@contextmanager
def statements(site: Site) -> Iterator[list[str]]:
    """The statements that are sent to the SQL database."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    with site.app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)
