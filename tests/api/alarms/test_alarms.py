"""Rules, silences and alarms over the API: what is refused, what is stored, and what a job makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from greenpower.alarms.evaluator import Evaluator
from greenpower.alarms.kind import AlarmKind
from greenpower.alarms.kind_table import alarm_kinds
from greenpower.alarms.subject import device_subject
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS, SEEN, ensure_indexes
from greenpower.sql import StoredAlarmRule
from greenpower.sql.session import sql_session
from greenpower.stack import Mongod
from tests.alarms.one_alarm import raised_alarm
from tests.api.conftest import KEY, PROBE, Api, close_app, make_app

RULES, SILENCES, ALARM_LIST = "/api/alarms/rules/", "/api/alarms/silences/", "/api/alarms/"
AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture(scope="module")
def module_api(mongod: Mongod, module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API for the module."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("alarms-api"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name=module_database,
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
    )
    app = make_app(settings)
    api = Api(app, settings)
    ensure_indexes(api.database, [PROBE], settings)
    yield api
    close_app(app)


@pytest.fixture
def api(module_api: Api) -> Api:
    """It, without rules, silences and alarms."""
    for name in (ALARMS, ALARM_PROGRESS):
        module_api.database[name].delete_many({})
    for path in (RULES, SILENCES):
        for item in module_api.get(path).get_json()["results"]:
            assert send(module_api, "DELETE", f"{path}{item['id']}/").status_code == 204
    module_api.clear()
    return module_api


def send(api: Api, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {api.tokens['access']}"}
    return api.client.open(path, method=method, json=body, headers=headers)


def new_rule(**values: Any) -> dict[str, Any]:
    return {"name": "r", "kind": "threshold", "type": PROBE.name, "params": {"field": "volts", "above": 250}, **values}


def test_a_rule_is_made_changed_and_deleted(api: Api) -> None:
    made = send(api, "POST", RULES, new_rule(severity="critical", channels=[3], for_s=60))
    assert made.status_code == 201, made.text
    rule = made.get_json()
    assert (rule["severity"], rule["enabled"], rule["channels"], rule["status"]) == ("critical", True, [3], None)
    path = f"{RULES}{rule['id']}/"
    assert send(api, "POST", RULES, new_rule()).status_code == 409
    renamed = send(api, "PATCH", path, {"name": "other"}).get_json()
    assert (renamed["name"], renamed["since"]) == ("other", rule["since"])
    changed = send(api, "PATCH", path, {"params": {"field": "volts", "below": 200}}).get_json()
    assert changed["since"] > rule["since"]
    assert api.get(RULES, kind="threshold").get_json()["count"] == 1
    assert api.get(RULES, enabled="false").get_json()["count"] == 0
    assert send(api, "DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"kind": "none such"}, "kind"),
        ({"params": {"field": "volts"}}, "params"),
        ({"params": {"field": "volts", "above": "high"}}, "params"),
        ({"params": {"field": "amps", "above": 1}}, "params"),
        ({"params": {"field": "volts", "above": 1, "more": 1}}, "params"),
        ({"params": {"field": "volts", "above": 2, "below": 1, "hysteresis": 1}}, "params"),
        ({"type": "none such"}, "type"),
        ({"type": None}, "type"),
        ({"zone_id": 9}, "zone_id"),
        ({"points": [9]}, "points"),
        ({"kind": "imbalance", "params": {}, "devices": ["a"], "type": None}, "devices"),
        ({"kind": "budget", "params": {"limit": 1}, "type": None, "points": [9]}, "points"),
        ({"for_s": -1}, "for_s"),
        ({"severity": "bad"}, "severity"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(api: Api, values: dict[str, Any], wrong: str) -> None:
    answer = send(api, "POST", RULES, new_rule(**values))
    assert answer.status_code == 422, answer.text
    assert wrong in answer.get_json()["errors"]["json"]


def judge(api: Api) -> None:
    with sql_session(api.settings) as session:
        Evaluator(api.database, session, Registry.of(PROBE), api.settings, lambda datatype: frozenset()).run()


def test_a_reading_becomes_an_alarm_that_is_acknowledged_and_cleared(api: Api) -> None:
    rule = send(api, "POST", RULES, new_rule()).get_json()

    def store(volts: float) -> None:
        now = datetime.now(UTC)
        row = {"device_id": "d", "topic": "T", "timestamp": now, "received_at": now, "updated_at": now}
        api.readings.insert_one({**row, "payload": {"volts": volts}, "complete": True})
        seen = {"type": PROBE.name, "device_id": "d", "last_heard": now}
        api.database[SEEN].update_one({"_id": f"{PROBE.name}|d"}, {"$set": seen}, upsert=True)

    store(260)
    judge(api)
    [alarm] = api.get(ALARM_LIST, state="open").get_json()["results"]
    assert (alarm["rule"], alarm["device_id"], alarm["value"], alarm["state"]) == ("r", "d", 260, "active")
    status = api.get(f"{RULES}{rule['id']}/").get_json()["status"]
    assert (status["problem"], status["failures"]) == ("", 0)
    path = f"{ALARM_LIST}{alarm['id']}/"
    acknowledged = send(api, "POST", f"{path}acknowledge/", {"note": "on my way"})
    assert acknowledged.status_code == 200, acknowledged.text
    assert acknowledged.get_json()["acknowledged_by"] == "admin"
    assert send(api, "POST", f"{path}acknowledge/", {}).status_code == 409
    store(240)
    judge(api)
    shown = api.get(path).get_json()
    assert [(item["seq"], item["step"]) for item in shown["transitions"]] == [
        (1, "raised"), (2, "acknowledged"), (3, "cleared"),
    ]  # fmt: skip
    assert shown["note"] == shown["transitions"][1]["note"] == "on my way"
    assert send(api, "POST", f"{path}acknowledge/", {}).status_code == 409


def test_alarms_are_listed_by_state_severity_device_and_time(api: Api) -> None:
    rows: list[tuple[str, dict[str, Any]]] = [
        ("a", {"begin": AT}), ("b", {"begin": AT, "severity": "critical"}),
        ("c", {"begin": AT + timedelta(minutes=1), "state": "cleared", "open": False}),
        ("d", {"begin": AT + timedelta(minutes=2), "state": "cancelled", "open": False}),
    ]  # fmt: skip
    api.database[ALARMS].insert_many(
        [raised_alarm(device_subject(PROBE.name, name), AT, **values) for name, values in rows]
    )

    def listed(**query: Any) -> list[str]:
        answer = api.get(ALARM_LIST, **query)
        assert answer.status_code == 200, answer.text
        return [item["device_id"] for item in answer.get_json()["results"]]

    assert listed()[0] == "c" and sorted(listed()) == ["a", "b", "c"]
    assert sorted(listed(state=["active"])) == sorted(listed(state="open")) == ["a", "b"]
    assert listed(severity="critical") == listed(device_id="b") == ["b"]
    assert listed(start_time=(AT + timedelta(seconds=1)).isoformat()) == ["c"]
    assert listed(rule_id=2) == []
    first = api.get(ALARM_LIST, page_size=2).get_json()
    following = api.get(first["next"]).get_json()["results"]
    assert len(first["results"]) == 2 and len(following) == 1
    assert api.get(f"{ALARM_LIST}{'0' * 24}/").status_code == 404
    assert api.get(ALARM_LIST, state="sleepy").status_code == 422


def test_a_silence_is_made_changed_and_ended(api: Api) -> None:
    made = send(api, "POST", SILENCES, {"subject": f"{PROBE.name}|d", "reason": "maintenance"})
    assert made.status_code == 201, made.text
    path = f"{SILENCES}{made.get_json()['id']}/"
    assert made.get_json()["created_by"] == "admin"
    assert api.get(SILENCES, active="true").get_json()["count"] == 1
    assert send(api, "PATCH", path, {"ends_at": AT.isoformat()}).status_code == 422
    later = datetime.now(UTC) + timedelta(hours=1)
    assert send(api, "PATCH", path, {"ends_at": later.isoformat()}).status_code == 200
    assert send(api, "POST", SILENCES, {"rule_id": 99}).status_code == 422
    assert send(api, "DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


def test_every_kind_has_an_example_that_can_be_used(api: Api) -> None:
    kinds = api.get("/api/alarms/kinds/").get_json()["results"]
    assert [kind["name"] for kind in kinds] == sorted(alarm_kinds())
    for kind in kinds:
        if kind["name"] == "threshold":
            continue  # of a field that the data type here has not
        answer = send(api, "POST", RULES, {"name": kind["name"], "kind": kind["name"], "params": kind["example"]})
        assert answer.status_code == (422 if kind["needs_type"] and kind["subjects"] == ["device"] else 201)


def test_a_kind_is_added_by_one_module(api: Api, one_more_kind: AlarmKind) -> None:
    name = one_more_kind.name
    assert name in [kind["name"] for kind in api.get("/api/alarms/kinds/").get_json()["results"]]
    made = send(api, "POST", RULES, {"name": "new", "kind": name, "type": PROBE.name, "params": {"field": "volts"}})
    assert made.status_code == 201, made.text
    with sql_session(api.settings) as session:
        assert session.get(StoredAlarmRule, made.get_json()["id"]) is not None
    now = datetime.now(UTC)
    row = {"device_id": "d", "topic": "T", "timestamp": now, "received_at": now, "updated_at": now}
    api.readings.insert_one({**row, "payload": {"volts": -1.0}, "complete": True})
    judge(api)
    [alarm] = api.get(ALARM_LIST).get_json()["results"]
    assert (alarm["kind"], alarm["value"]) == (name, -1.0)
