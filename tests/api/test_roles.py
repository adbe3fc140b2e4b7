"""Every operation for every kind of caller: let in or refused as the schema says, and a refusal tells nothing.

The table is made from the schema of the whole API, with all plugins. What the schema cannot be trusted with is named
here: which operations need no token, and which writes a viewer may do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from greenpower.api.http.fields import EXAMPLE_ID
from greenpower.api.http.openapi import SCOPES, operations
from greenpower.app import create_app, sql_context
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.sql import RoleName
from greenpower.sql.api_key import new_key
from greenpower.sql.extensions import db
from greenpower.sql.setup import make_user
from greenpower.sql.time import now
from greenpower.stack import Mongod
from tests.api.conftest import KEY, close_app

PUBLIC = {
    "/api/ready/",
    "/api/health/",
    "/api/health/mqtt/",
    "/api/health/tcp/",
    "/api/users/token/",
    "/api/users/token/refresh/",
    "/api/users/token/logout/",
    "/api/api-keys/token/",
    "/api/api-keys/client-credentials/",
    "/api/ingest/{claim}/",
}
# Devices send keys of their own there, which ingest checks.
KEYS_OF_DEVICES = {"/api/ingest/{claim}/"}
WRITES_OF_VIEWERS = {"/api/users/me/password/"}
PASSWORD = "correct horse battery"
# Of what there is and of what there is not: a refusal is the same.
NUMBERS = ("1", "999999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who asks. role: None for nobody. scopes: None for a user. in_header: sends the key itself."""

    name: str
    role: RoleName | None
    scopes: frozenset[str] | None = None
    in_header: bool = False

    def may(self, operation: dict[str, Any]) -> bool:
        if "x-role" not in operation:
            return True
        if self.in_header and {"api_key": []} not in operation["security"]:
            return False
        if self.role is None or not self.role.includes(RoleName(operation["x-role"])):
            return False
        return self.scopes is None or operation.get("x-scope") in self.scopes


CALLERS = (
    Caller(name="nobody", role=None),
    Caller(name="gone", role=None),
    *(Caller(name=role.value, role=role) for role in RoleName),
    Caller(name="key-for-all", role=RoleName.OPERATOR, scopes=frozenset(SCOPES)),
    Caller(name="key-for-telemetry", role=RoleName.VIEWER, scopes=frozenset({"telemetry:read"})),
    Caller(name="key-itself", role=RoleName.OPERATOR, scopes=frozenset(SCOPES), in_header=True),
    Caller(name="key-for-devices", role=RoleName.OPERATOR, scopes=frozenset({"devices:read", "devices:write"})),
)


class World:
    """The whole API, and the token of each caller."""

    def __init__(self, settings: Settings) -> None:
        init_sql(settings)
        keys: dict[str, str] = {}
        with sql_context(settings):
            for caller in CALLERS:
                if caller.scopes is not None:
                    key, text = new_key(caller.name, sorted(caller.scopes), now() + timedelta(days=1), None)
                    db.session.add(key)
                    keys[caller.name] = text
                elif caller.name != "nobody":
                    make_user(caller.name, PASSWORD, caller.role or RoleName.ADMIN)
            db.session.commit()
        self.app = create_app(settings)
        self.client: FlaskClient = self.app.test_client()
        self.schema: dict[str, Any] = self.client.get("/api/schema/").get_json()
        self.tokens: dict[str, str] = {}
        for caller in CALLERS:
            if caller.in_header:
                self.tokens[caller.name] = keys[caller.name]
                continue
            if caller.name in keys:
                response = self.client.post("/api/api-keys/token/", json={"key": keys[caller.name]})
            elif caller.name == "nobody":
                continue
            else:
                password = "correct horse" if caller.name == settings.admin_username else PASSWORD
                login = {"username": caller.name, "password": password}
                response = self.client.post("/api/users/token/", json=login)
            self.tokens[caller.name] = response.get_json()["access"]
            if caller.name == "gone":
                self.client.post("/api/users/token/logout/", json={"refresh": response.get_json()["refresh"]})

    def ask(self, caller: Caller, path: str, method: str, number: str, body: bool) -> TestResponse:
        """Ask with nothing in the body, so that nothing changes."""
        place = re.sub(
            r"\{\w+\}",
            number,
            re.sub(r"\{(incident|exchange|correction|push_key|alarm_id|finding)\}", EXAMPLE_ID, path),
        )
        token = self.tokens.get(caller.name)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if caller.in_header:
            headers = {"X-API-Key": str(token)}
        return self.client.open(place, method=method.upper(), headers=headers, json={} if body else None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[World]:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path_factory.mktemp("roles"),
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_roles",
        api_rate_limit="",
        api_login_limit="",
        api_account_limit="",
    )
    world = World(settings)
    yield world
    close_app(world.app)


def test_what_needs_no_token_is_what_is_meant_to(world: World) -> None:
    open_to_all = {path for path, _, operation in operations(world.schema) if "x-role" not in operation}
    assert open_to_all == PUBLIC
    writes = {
        path for path, method, item in operations(world.schema) if method != "get" and item.get("x-role") == "viewer"
    }
    assert writes == WRITES_OF_VIEWERS
    for path, _, operation in operations(world.schema):
        assert bool(operation["security"]) == ("x-role" in operation or path in KEYS_OF_DEVICES), path
    routes = {str(rule) for rule in world.app.url_map.iter_rules() if str(rule).startswith("/api/")}
    documented = {re.sub(r"\{\w+\}", "", path) for path in world.schema["paths"]}
    assert {
        rule for rule in routes if re.sub(r"<[^>]*>", "", rule) not in documented and not rule.startswith("/api/docs")
    } == {"/api/schema/"}


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
def test_each_operation_lets_in_whom_it_says(world: World, caller: Caller) -> None:
    wrong = []
    for path, method, operation in operations(world.schema):
        for number in NUMBERS if "{" in path and not caller.may(operation) else NUMBERS[-1:]:
            with world.ask(caller, path, method, number, "requestBody" in operation) as response:
                problem = judge(caller, operation, response)
            if problem:
                wrong.append(f"{method.upper()} {path}: {problem}")
    assert wrong == []


def judge(caller: Caller, operation: dict[str, Any], response: Response) -> str:
    """What is wrong with an answer."""
    code = response.status_code
    documented = {int(key) for key in operation["responses"] if key != "default"}
    if code not in documented:
        return f"{code} is not documented"
    if caller.may(operation):
        if code in (401, 403) and "x-role" in operation:
            return f"refused with {code}"
        # Health is bad here, where only MongoDB runs.
        return f"failed with {code}" if code >= 500 and code != 503 else ""
    wanted = 401 if caller.role is None else 403
    if code != wanted:
        return f"{code}, not {wanted}"
    body = response.get_json()
    if not isinstance(body, dict) or set(body) != {"code", "status", "message", "errors"} or body["errors"]:
        return f"tells {body}"
    return "" if body["message"] else "tells nothing"


def test_a_refusal_is_the_same_whether_the_thing_is_there_or_not(world: World) -> None:
    viewer = next(caller for caller in CALLERS if caller.name == "viewer")
    for path, method, operation in operations(world.schema):
        if "{" in path and not viewer.may(operation):
            answers = {world.ask(viewer, path, method, number, True).text for number in NUMBERS}
            assert len(answers) == 1, path
