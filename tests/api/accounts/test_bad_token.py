"""Logins and tokens that are no good: each is refused, in the one shape, and none is a 500."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token, create_refresh_token
from jwt import decode, encode

from tests.api.conftest import KEY, LOGOUT, PATH, REFRESH, Api, refused


@pytest.fixture
def client(api: Api) -> FlaskClient:
    return api.client


@pytest.mark.parametrize(
    ("username", "password"),
    [("admin", "wrong"), ("nobody", "correct horse"), ("a\0b", "x"), ("' or 1=1 --", "x"), ("admin", "x" * 1024)],
)
def test_a_wrong_name_and_a_wrong_password_are_answered_alike(api: Api, username: str, password: str) -> None:
    response = api.log_in(username, password)
    assert refused(response)


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ({}, 422, "username"),
        ({"username": "admin"}, 422, "password"),
        ({"username": "admin", "password": ""}, 422, "password"),
        ({"username": "admin", "password": "x" * 1025}, 422, "password"),
        ({"username": 1, "password": "x"}, 422, "username"),
        ({"username": {"$ne": ""}, "password": "x"}, 422, "username"),
        ({"username": "admin", "password": "x", "role": "admin"}, 422, "role"),
        ([], 422, "_schema"),
    ],
)
def test_what_is_no_login_is_refused_by_name(client: FlaskClient, body: Any, code: int, place: str) -> None:
    response = client.post("/api/users/token/", json=body)
    assert refused(response, code) and place in response.get_json()["errors"]["json"]


@pytest.mark.parametrize(
    ("data", "kind", "code"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"username":"\\ud800","password":"x"}', "application/json", 400),
        (b"", "application/json", 400),
        (b"username=admin", "application/x-www-form-urlencoded", 415),
        (b"{}", None, 415),
        (b'"' + b"x" * 70_000 + b'"', "application/json", 413),
    ],
)
def test_what_is_no_json_is_refused(client: FlaskClient, data: bytes, kind: str | None, code: int) -> None:
    assert refused(client.post("/api/users/token/", data=data, content_type=kind), code)


def deep_token() -> str:
    """A token whose claims nest deeper than Python reads."""
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}).encode(), b"[" * 5000, b"signature"]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def claims(api: Api, **changes: Any) -> str:
    """The caller's own access token with other claims, signed with our key."""
    own = decode(api.tokens["access"], KEY, ["HS256"], issuer="greenpower")
    return encode({**own, **changes}, KEY, "HS256")


BAD_ACCESS: dict[str, Callable[[Api], str]] = {
    "expired": lambda api: claims(api, exp=1_700_000_000),
    "another key": lambda api: encode(decode(api.tokens["access"], KEY, ["HS256"], issuer="greenpower"), "x" * 40),
    "unsigned": lambda api: encode(decode(api.tokens["access"], KEY, ["HS256"], issuer="greenpower"), "", "none"),
    "a refresh token": lambda api: api.tokens["refresh"],
    "cut": lambda api: api.tokens["access"][:-2],
    "rubbish": lambda api: "rubbish",
    "two dots": lambda api: "a.b.c",
    "deep": lambda api: deep_token(),
    "another issuer": lambda api: claims(api, iss="someone"),
    "no family": lambda api: claims(api, fam=None),
    "another family": lambda api: claims(api, fam="f" * 32),
    "another user": lambda api: claims(api, sub="999"),
    "a user who is no number": lambda api: claims(api, sub="admin"),
    "a user beyond all numbers": lambda api: claims(api, sub="9" * 30),
}


@pytest.mark.parametrize("name", BAD_ACCESS)
def test_a_bad_access_token_is_refused(api: Api, name: str) -> None:
    with api.app.app_context():
        token = BAD_ACCESS[name](api)
    assert refused(api.get(PATH, token=token))


@pytest.mark.parametrize("name", ["expired", "another key", "unsigned", "cut", "rubbish", "deep", "an access token"])
@pytest.mark.parametrize("path", [REFRESH, LOGOUT])
def test_a_bad_refresh_token_is_refused(api: Api, name: str, path: str) -> None:
    with api.app.app_context():
        if name == "expired":
            token = create_refresh_token(
                "1", expires_delta=timedelta(seconds=-1), additional_claims={"fam": "x", "gen": 0}
            )
        elif name == "an access token":
            token = api.tokens["access"]
        else:
            token = BAD_ACCESS[name](api)
    assert refused(api.client.post(path, json={"refresh": token}))


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic YTpi", "bearer x", "Bearer a b", "Bearer é", "Bearer ,", "x" * 5000],
)
def test_a_request_without_a_token_is_refused_before_its_parameters_are_looked_at(
    client: FlaskClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert refused(client.get(PATH, query_string={"page": "0"}, headers=headers))


def test_tokens_made_for_a_family_that_never_was_are_refused(api: Api) -> None:
    with api.app.app_context():
        token = create_access_token("1", additional_claims={"fam": "0" * 32, "role": "admin"})
    assert refused(api.get(PATH, token=token))
