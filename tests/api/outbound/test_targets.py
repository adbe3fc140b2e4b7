"""Targets over the API and the console: who sees and makes which, what is refused, and that no address comes out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from greenpower.app import create_app
from greenpower.catalog.registry import get_registry
from greenpower.cli import outbound as outbound_command
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.mongo.outbound.positions import FeedPosition, claim_target, save_position
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS, ensure_indexes
from greenpower.sql import Device, RoleName, User
from greenpower.sql.extensions import db
from greenpower.sql.restriction import restrict
from greenpower.stack import Mongod
from tests.api.conftest import KEY, close_app
from tests.api.world import SqlApi
from tests.outbound.world import T0

TARGETS = "/api/outbound/targets/"
SECRET = "s3cr3t-t0k3n"
WEBHOOK = {"kind": "webhook", "address": f"https://me:{SECRET}@example.org/{SECRET}", "content": "readings"}
MQTT = {"kind": "mqtt", "address": "site", "content": "readings", "topic_prefix": "site/out"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[SqlApi]:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("targets"),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_outbound_targets",
    )
    init_sql(settings)
    app = create_app(settings)
    found = SqlApi(app, settings)
    ensure_indexes(found.database, get_registry(), settings)
    yield found
    found.database.client.drop_database("test_outbound_targets")
    close_app(app)


def test_a_target_is_made_changed_and_deleted_and_its_secrets_are_not_shown_again(api: SqlApi) -> None:
    made = api.good("POST", TARGETS, {"name": "One", **WEBHOOK}, code=201)
    signing = made.pop("secret")
    assert signing.startswith("gpo_") and len(signing) > 40
    assert (made["status"], made["created_by"], made["enabled"], made["types"]) == (None, "admin", True, [])
    one = f"{TARGETS}{made['id']}/"
    assert api.good("GET", one) == made
    positions = api.database[OUTBOUND_POSITIONS]
    claim_target(positions, made["id"], "c", T0, T0)
    save_position(positions, made["id"], "c", "rt", FeedPosition(T0, None), rows=3, at=T0)
    shown = api.good("GET", one)["status"]
    assert (shown["rows"], shown["deliveries"], shown["error"]) == (3, 1, None) and shown["lag_seconds"] > 0
    assert shown["feeds"] == [
        {"name": "rt", "position": "2026-11-01T08:00:00.000Z", "gap_from": None, "gap_until": None}
    ]
    metrics = api.client.get("/metrics/jobs").text
    assert f'greenpower_outbound_rows_total{{target="{made["id"]}"}} 3.0' in metrics
    changed = api.good("PATCH", one, {"address": f"http://10.0.0.7/{SECRET}2", "enabled": False, "types": ["rt"]})
    assert (changed["enabled"], changed["types"]) == (False, ["rt"])
    assert api.ask("POST", TARGETS, {"name": "One", **WEBHOOK}).status_code == 409
    entries = api.good("GET", f"/api/audit/?object_type=outbound_target&object_id={made['id']}")["results"]
    assert [entry["action"] for entry in entries] == ["change", "create"]
    assert entries[1]["after"]["address"] == "(secret)" and entries[0]["after"]["address"] == "(changed)"
    everything = str([changed, api.good("GET", TARGETS), entries])
    assert SECRET not in everything and signing not in everything
    asked = api.good("POST", f"{one}test/", code=201)
    test = api.good("GET", one)["status"]["test"]
    assert test == {"asked_at": asked["asked_at"], "done_at": None, "ok": None, "said": None}
    api.good("DELETE", one, code=204)
    assert api.ask("GET", one).status_code == 404 and positions.count_documents({}) == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**WEBHOOK, "address": "ftp://example.org/"}, "address"),
        ({**WEBHOOK, "address": "https:///x"}, "address"),
        ({**WEBHOOK, "address": "https://127.0.0.1/"}, "address"),
        ({**WEBHOOK, "address": "http://169.254.169.254/latest/"}, "address"),
        ({**WEBHOOK, "address": "http://[::ffff:127.0.0.1]/"}, "address"),
        ({**WEBHOOK, "address": "https://example.org/\nx"}, "address"),
        ({**WEBHOOK, "address": "site"}, "address"),
        ({**WEBHOOK, "types": ["nothing"]}, "types"),
        ({**WEBHOOK, "zone_id": 999}, "zone_id"),
        ({**WEBHOOK, "resolution": "30m"}, "resolution"),
        ({**WEBHOOK, "content": "buckets"}, "resolution"),
        ({**WEBHOOK, "content": "buckets", "resolution": "7m"}, "resolution"),
        ({**WEBHOOK, "topic_prefix": "x"}, "topic_prefix"),
        ({**MQTT, "topic_prefix": None}, "topic_prefix"),
        ({**MQTT, "topic_prefix": "a/#"}, "topic_prefix"),
        ({**MQTT, "topic_prefix": "$SYS"}, "topic_prefix"),
        ({**MQTT, "topic_prefix": "a//b"}, "topic_prefix"),
        ({**MQTT, "address": "mqtt://h/path"}, "address"),
    ],
)
def test_no_targets(api: SqlApi, body: dict[str, object], field: str) -> None:
    refused = api.ask("POST", TARGETS, {"name": "x", **body})
    assert refused.status_code == 422 and SECRET not in refused.text, refused.text
    assert field in str(refused.get_json()["errors"])


def test_a_prefix_that_would_come_in_again_is_refused(api: SqlApi) -> None:
    for topic in get_registry().topics:
        prefix = topic.rsplit("/", 2)[0].replace("+", "x").replace("#", "x")
        if topic.count("/") >= 2 and prefix and "$" not in prefix:
            refused = api.ask("POST", TARGETS, {"name": "loop", **MQTT, "topic_prefix": prefix})
            assert refused.status_code == 422, (topic, prefix)
            return
    pytest.fail("no data type claims a topic of three levels")


def test_restricted_operators_make_and_see_those_of_their_zones(api: SqlApi) -> None:
    mine = api.good("POST", "/api/service-zones/", {"name": "Hall"}, code=201)["id"]
    other = api.good("POST", "/api/service-zones/", {"name": "Yard"}, code=201)["id"]
    api.user("olga", RoleName.OPERATOR), api.user("vera", RoleName.VIEWER)
    with api.app.app_context():
        for name, role in (("olga", RoleName.OPERATOR), ("vera", RoleName.VIEWER)):
            restrict(db.session.query(User).filter_by(username=name).one(), {mine: role})
        db.session.add(Device(device_id="elsewhere", name="e", zone_id=other, types=[]))
        db.session.commit()
    olga, vera = (api.log_in(name, "correct horse battery").get_json()["access"] for name in ("olga", "vera"))
    of_site = api.good("POST", TARGETS, {"name": "site", **WEBHOOK}, code=201)
    of_other = api.good("POST", TARGETS, {"name": "yard", **WEBHOOK, "zone_id": other}, code=201)
    for zone in ({}, {"zone_id": other}, {"zone_id": None}):
        assert api.ask("POST", TARGETS, {"name": "x", **WEBHOOK, **zone}, token=olga).status_code == 422
    body = {"name": "hall", **WEBHOOK, "zone_id": mine}
    assert api.ask("POST", TARGETS, body, token=vera).status_code == 403
    made = api.good("POST", TARGETS, body, code=201, token=olga)
    for token in (olga, vera):
        assert [row["name"] for row in api.good("GET", TARGETS, token=token)["results"]] == ["hall"]
    one = f"{TARGETS}{made['id']}/"
    for zone_id in (other, None):
        assert api.ask("PATCH", one, {"zone_id": zone_id}, token=olga).status_code == 422
    for number in (of_site["id"], of_other["id"]):
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "test/")):
            there = f"{TARGETS}{number}/{path}"
            assert api.ask(method, there, {} if method == "PATCH" else None, token=olga).status_code == 404
    # It goes with its zone.
    api.good("DELETE", f"/api/service-zones/{mine}/", code=204)
    assert api.ask("GET", one).status_code == 404


def test_by_the_console(api: SqlApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound_command, "load_settings", lambda: api.settings)

    def run(*arguments: str, given: str | None = None) -> str:
        result = CliRunner().invoke(outbound_command.outbound, arguments, input=given)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    told = run("add", "Hand", "--type", "rt", "--from", "2026-11-01", given=f"{WEBHOOK['address']}\n")
    number = told.split("target ")[1].split()[0]
    assert "gpo_" in told and SECRET not in told
    line = next(line for line in run("list").splitlines() if "Hand" in line)
    assert line.split() == [number, "Hand", "webhook", "readings", "site", "yes"]
    assert api.good("GET", f"{TARGETS}{number}/")["begin_at"] == "2026-11-01T00:00:00.000Z"
    run("test", number)
    assert "waits" in next(line for line in run("status").splitlines() if "Hand" in line)
    run("remove", number)
    assert "Hand" not in run("status")
    for wrong in (("add", "x", "--address", "file:///x"), ("test", "99999"), ("remove", "99999")):
        result = CliRunner().invoke(outbound_command.outbound, wrong)
        assert isinstance(result.exception, ConfigError), result.output
