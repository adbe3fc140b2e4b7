"""What every answer carries: an id, and what browsers may do with it."""

from __future__ import annotations

import io
import json
import logging
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.log import JsonFormatter, TextFormatter, request_id
from tests.api.conftest import KEY, PATH, PROBE, Api

ORIGIN, OTHER = "https://dash.example", "https://evil.example"
PLACES = ("/api/schema/", "/api/docs/", "/api/docs/swagger-ui.css", "/nothing/", PATH)


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    """An app that browsers may call from one origin."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        jwt_signing_key=SecretStr(KEY),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
        cors_allowed_origins=f"{ORIGIN}, https://second.example",
    )
    return create_app(settings, Registry.of(PROBE)).test_client()


@pytest.mark.parametrize("place", PLACES)
def test_every_answer_has_the_headers(client: FlaskClient, place: str) -> None:
    with client.get(place) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["X-Request-ID"])
        assert "Strict-Transport-Security" not in response.headers
    with client.get(place, base_url="https://localhost") as response:
        assert response.headers["Strict-Transport-Security"].startswith("max-age=")


def test_the_docs_run_their_own_scripts_and_no_others(client: FlaskClient) -> None:
    response = client.get("/api/docs/")
    policy = dict(part.strip().split(" ", 1) for part in response.headers["Content-Security-Policy"].split(";"))
    assert "unsafe" not in policy["script-src"] and policy["default-src"] == "'none'"
    inline = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    assert inline and "<script" in response.text
    for script in inline:
        assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy["script-src"]
    assert not re.search(r"\son\w+=", response.text)


def test_only_listed_origins_may_call(client: FlaskClient) -> None:
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
    allowed = client.options(PATH, headers={"Origin": ORIGIN, **asked})
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Authorization".lower() in allowed.headers["Access-Control-Allow-Headers"].lower()
    for origin in (OTHER, "null", f"{ORIGIN}.evil.example"):
        response = client.options(PATH, headers={"Origin": origin, **asked})
        assert "Access-Control-Allow-Origin" not in response.headers
    told = client.get(PATH, headers={"Origin": ORIGIN})
    assert told.status_code == 401 and told.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Credentials" not in told.headers and "Origin" in told.headers["Vary"]


def test_without_a_list_nobody_may(api: Api) -> None:
    assert "Access-Control-Allow-Origin" not in api.client.get(PATH, headers={"Origin": ORIGIN}).headers


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("greenpower")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)
    request_id.set("")


def test_a_request_is_followed_into_the_log(tmp_path: Path, lines: io.StringIO) -> None:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        jwt_signing_key=SecretStr(KEY),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
    )
    app = create_app(settings, Registry.of(PROBE))

    def fail() -> str:
        raise RuntimeError("a bug")

    app.add_url_rule("/fail/", view_func=fail)
    for given, kept in (("my-request.1", True), ("short", False), ("x" * 65, False), ("a b\tcdefgh", False)):
        response = app.test_client().get("/fail/", headers={"X-Request-ID": given})
        assert response.status_code == 500
        assert (response.headers["X-Request-ID"] == given) == kept
        line = json.loads(lines.getvalue().splitlines()[-1])
        assert line["request_id"] == response.headers["X-Request-ID"]
        assert line["level"] == "ERROR" and "a bug" in line["exception"] and line["logger"].startswith("greenpower")


def test_a_line_is_an_object_or_a_sentence() -> None:
    record = logging.LogRecord("greenpower.x", logging.INFO, __file__, 1, 'said "%s"\n\ud800', ("ü",), None)
    request_id.set("")
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == 'said "ü"\n?' and "request_id" not in line and line["time"].endswith("Z")
    request_id.set("abc")
    assert json.loads(JsonFormatter().format(record))["request_id"] == "abc"
    assert "INFO greenpower.x [abc]: said" in TextFormatter().format(record)
    request_id.set("")
