"""Users, roles and keys, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from jwt import decode
from pydantic import SecretStr
from sqlalchemy import update

from greenpower.bus import revocation
from greenpower.config import Settings
from greenpower.sql import ApiKey, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from tests.api.conftest import KEY, PATH, REFRESH, close_app, make_app, refused
from tests.api.world import PASSWORD, SqlApi

USERS, ME, KEYS = "/api/users/", "/api/users/me/", "/api/api-keys/"


@pytest.fixture
def api(sql_settings: Settings, mongo_uri: str, mongo_name: str, redis_url: str) -> Iterator[SqlApi]:
    changes = {"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name, "redis_url": SecretStr(redis_url)}
    app = make_app(settings := sql_settings.model_copy(update=changes))
    yield SqlApi(app, settings)
    close_app(app)


def revoked(api: SqlApi, token: str) -> bool:
    """Whether Redis shows the login of a token as ended."""
    with redis.Redis.from_url(api.settings.redis_address, decode_responses=True) as client:
        return revocation.is_revoked(client, decode(token, KEY, ["HS256"], issuer="greenpower")["fam"])


def test_users_are_made_listed_changed_and_deleted(api: SqlApi) -> None:
    made = api.good("POST", USERS, {"username": "ada", "password": PASSWORD, "role": "viewer"}, code=201)
    assert made["username"] == "ada" and made["role"] == "viewer" and made["active"] and "password" not in str(made)
    listed = api.good("GET", USERS)
    assert [user["username"] for user in listed["results"]] == ["ada", "admin"] and listed["count"] == 2
    one = f"{USERS}{made['id']}/"
    assert api.good("GET", one) == made
    assert api.good("PATCH", one, {"role": "operator"})["role"] == "operator"
    assert api.log_in("ada", PASSWORD).status_code == 200
    assert api.good("DELETE", one) == {"revoked_keys": []}
    assert refused(api.ask("GET", one), 404) and refused(api.log_in("ada", PASSWORD))


NO_USERS: list[dict[str, object]] = [
    {},
    {"username": "a b", "password": PASSWORD, "role": "viewer"},
    {"username": "x" * 151, "password": PASSWORD, "role": "viewer"},
    {"username": "ada", "password": "short", "role": "viewer"},
    {"username": "ada", "password": PASSWORD, "role": "king"},
    {"username": "ada", "password": PASSWORD, "role": "viewer", "id": 1},
]


def test_what_is_no_user_is_refused(api: SqlApi) -> None:
    for body in NO_USERS:
        assert refused(api.ask("POST", USERS, body), 422)


def test_a_name_is_taken_once(api: SqlApi) -> None:
    assert refused(api.ask("POST", USERS, {"username": "admin", "password": PASSWORD, "role": "viewer"}), 409)


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"active": False}, {"password": "another good password"}])
def test_what_a_user_loses_he_loses_at_once(api: SqlApi, change: dict[str, object]) -> None:
    tokens = api.user("ada", RoleName.OPERATOR)
    assert api.get(PATH, token=tokens["access"]).status_code == 200
    number = next(user["id"] for user in api.good("GET", USERS)["results"] if user["username"] == "ada")
    api.good("PATCH", f"{USERS}{number}/", change)
    assert refused(api.get(PATH, token=tokens["access"]))
    assert refused(api.client.post(REFRESH, json={"refresh": tokens["refresh"]}))
    assert revoked(api, tokens["access"])


def test_the_last_administrator_stays(api: SqlApi) -> None:
    me = api.good("GET", ME)
    one = f"{USERS}{me['id']}/"
    for method, body in (("PATCH", {"role": "viewer"}), ("PATCH", {"active": False}), ("DELETE", None)):
        assert refused(api.ask(method, one, body), 409)
    api.user("bob", RoleName.ADMIN)
    assert api.good("PATCH", one, {"role": "viewer"})["role"] == "viewer"


def test_everybody_may_see_himself_and_change_his_password(api: SqlApi) -> None:
    tokens = api.user("ada")
    assert api.good("GET", ME, token=tokens["access"])["username"] == "ada"
    new = {"old": PASSWORD, "new": "another good password"}
    assert refused(api.ask("POST", f"{ME}password/", {**new, "old": "wrong"}, token=tokens["access"]), 409)
    fresh = api.good("POST", f"{ME}password/", new, token=tokens["access"])
    assert refused(api.get(PATH, token=tokens["access"])) and revoked(api, tokens["access"])
    assert api.get(PATH, token=fresh["access"]).status_code == 200 and not revoked(api, fresh["access"])
    assert refused(api.log_in("ada", PASSWORD)) and api.log_in("ada", new["new"]).status_code == 200


def test_roles_are_told(api: SqlApi) -> None:
    roles = api.good("GET", "/api/roles/", token=api.user("ada")["access"])["results"]
    assert [role["name"] for role in roles] == ["viewer", "operator", "admin"]


def test_logging_out_and_a_stolen_refresh_token_show_in_redis(api: SqlApi) -> None:
    first, second = api.user("ada"), api.log_in("ada", PASSWORD).get_json()
    assert api.client.post("/api/users/token/logout/", json={"refresh": first["refresh"]}).status_code == 204
    assert revoked(api, first["access"]) and not revoked(api, second["access"])
    for _ in range(2):
        api.client.post(REFRESH, json={"refresh": second["refresh"]})
    assert revoked(api, second["access"])


def test_a_key_is_exchanged_for_a_token_of_its_scopes(api: SqlApi) -> None:
    made = api.good("POST", KEYS, {"name": "billing", "scopes": ["telemetry:read"], "days": 30}, code=201)
    key = made.pop("key")
    assert made["role"] == "viewer" and made["last_used_at"] is None
    token = api.client.post(f"{KEYS}token/", json={"key": key}).get_json()
    assert token["expires_in"] == 900
    assert api.get(PATH, token=token["access"]).status_code == 200
    for path in ("/api/devices/", ME, KEYS, USERS):
        assert refused(api.get(path, token=token["access"]), 403)
    shown = api.good("GET", f"{KEYS}{made['id']}/")
    assert shown["last_used_at"] is not None and "key" not in shown
    assert key.split("_")[2] not in api.ask("GET", KEYS).text
    claims = decode(token["access"], KEY, ["HS256"], issuer="greenpower")
    assert claims["scopes"] == ["telemetry:read"] and claims["role"] == "viewer"


def test_a_key_that_was_revoked_or_ran_out_is_no_good(api: SqlApi) -> None:
    keys = [api.good("POST", KEYS, {"name": name, "scopes": ["telemetry:read"]}, code=201) for name in "ab"]
    tokens = [api.client.post(f"{KEYS}token/", json={"key": key["key"]}).get_json()["access"] for key in keys]
    api.good("DELETE", f"{KEYS}{keys[0]['id']}/", code=204)
    assert revoked(api, tokens[0]) and not revoked(api, tokens[1])
    with api.app.app_context():
        expired = now() - timedelta(seconds=1)
        db.session.execute(update(ApiKey).where(ApiKey.id == keys[1]["id"]).values(expires_at=expired))
        db.session.commit()
    for key, token in zip(keys, tokens, strict=True):
        assert refused(api.get(PATH, token=token))
        assert refused(api.client.post(f"{KEYS}token/", json={"key": key["key"]}))
    assert api.good("GET", KEYS)["count"] == 2


def test_a_key_in_a_header_reads_what_its_scopes_say_and_writes_nothing(api: SqlApi) -> None:
    scopes = ["telemetry:read", "devices:write"]
    made = api.good("POST", KEYS, {"name": "grafana", "scopes": scopes}, code=201)
    assert made["created_by"] == "admin" and made["last_used_at"] is None
    for headers in ({"Authorization": f"Bearer {made['key']}"}, {"X-API-Key": made["key"]}):
        assert api.client.get(PATH, headers=headers).status_code == 200
        assert api.client.head(PATH, headers=headers).status_code == 200
        assert refused(api.client.get("/api/devices/", headers=headers), 403)
        assert refused(api.client.get(KEYS, headers=headers), 403)
        assert refused(api.client.patch("/api/devices/1/", json={}, headers=headers), 403)
    shown = api.good("GET", f"{KEYS}{made['id']}/")
    assert shown["last_used_at"] is not None
    api.good("DELETE", f"{KEYS}{made['id']}/", code=204)
    assert refused(api.client.get(PATH, headers={"X-API-Key": made["key"]}))
    for wrong in ("", "x", made["key"][:-1] + ("0" if made["key"][-1] != "0" else "1"), "gp_" + "0" * 500):
        assert refused(api.client.get(PATH, headers={"X-API-Key": wrong}))


def test_days_are_whole_as_json_has_it(api: SqlApi) -> None:
    wish = {"name": "billing", "scopes": ["telemetry:read"]}
    assert api.good("POST", KEYS, {**wish, "days": 30.0}, code=201)["name"] == "billing"
    for days in (30.5, "30", True, None):
        assert refused(api.ask("POST", KEYS, {**wish, "days": days}), 422)


def test_an_oauth_client_gets_a_token_for_a_key(api: SqlApi) -> None:
    made = api.good("POST", KEYS, {"name": "erp", "scopes": ["telemetry:read"]}, code=201)
    path, key = f"{KEYS}client-credentials/", made["key"]
    form = {"grant_type": "client_credentials", "audience": "not ours"}
    inside = api.client.post(path, data={**form, "client_id": made["public_id"], "client_secret": key})
    basic = api.client.post(path, data=form, auth=(made["public_id"], key))
    for response in (inside, basic):
        assert response.status_code == 200, response.text
        body = response.get_json()
        assert body["token_type"] == "Bearer" and body["scope"] == "telemetry:read"
        assert api.get(PATH, token=body["access_token"]).status_code == 200
    for sent in ({**form, "client_id": "0" * 12, "client_secret": key}, {**form, "client_secret": key}, form):
        response = api.client.post(path, data=sent)
        assert response.status_code == 401 and response.get_json()["error"] == "invalid_client"
    other = api.client.post(path, data={**form, "grant_type": "password"})
    assert other.status_code == 400 and other.get_json()["error"] == "unsupported_grant_type"
    assert refused(api.client.post(path, data={}), 422)


@pytest.mark.parametrize("way", ["disabled", "deleted"])
def test_the_keys_of_a_user_go_with_the_user_and_are_named(api: SqlApi, way: str) -> None:
    maker = api.user("ada", RoleName.ADMIN)["access"]
    wish = {"name": "billing", "scopes": ["telemetry:read"]}
    mine, other = api.good("POST", KEYS, wish, code=201), api.good("POST", KEYS, wish, code=201, token=maker)
    number = next(user["id"] for user in api.good("GET", USERS)["results"] if user["username"] == "ada")
    token = api.client.post(f"{KEYS}token/", json={"key": other["key"]}).get_json()["access"]
    if way == "disabled":
        found = api.good("PATCH", f"{USERS}{number}/", {"active": False})
    else:
        found = api.good("DELETE", f"{USERS}{number}/")
    assert found["revoked_keys"] == [{"id": other["id"], "name": "billing"}]
    assert revoked(api, token)
    assert refused(api.client.get(PATH, headers={"X-API-Key": other["key"]}))
    assert api.client.get(PATH, headers={"X-API-Key": mine["key"]}).status_code == 200
    shown = api.good("GET", f"{KEYS}{other['id']}/")
    assert shown["revoked_at"] is not None and shown["created_by"] == ("ada" if way == "disabled" else None)


NO_KEYS: list[str] = ["x", "gp_000000000000_" + "0" * 64, "gp_000000000000_", "\0" * 9]


def test_what_is_no_key_is_refused(api: SqlApi) -> None:
    for key in NO_KEYS:
        assert refused(api.client.post(f"{KEYS}token/", json={"key": key}))


NO_WISHES: list[dict[str, object]] = [
    {"scopes": []},
    {"scopes": ["users:write"]},
    {"days": 0},
    {"days": "9"},
    {"name": "\n"},
]


def test_what_is_no_wish_for_a_key_is_refused(api: SqlApi) -> None:
    for body in NO_WISHES:
        assert refused(api.ask("POST", KEYS, {"name": "x", "scopes": ["telemetry:read"], **body}), 422)
