"""The line of a request in the access log: who called, and no secret."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from greenpower.api.http.auth import CALLER_KEY
from greenpower.api.http.server import OneLog
from tests.api.conftest import PATH, Api


def line_of(environ: dict[str, Any], caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    caplog.clear()
    caplog.set_level(logging.INFO)
    OneLog(Config()).access(SimpleNamespace(status="200 OK", sent=2), None, environ, timedelta(seconds=1))
    [record] = [record for record in caplog.records if record.name == "gunicorn.access"]
    return record


def test_a_line_names_the_caller(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    token = api.tokens["access"]
    for headers, caller in (({"Authorization": f"Bearer {token}"}, "admin"), ({}, None), ({"X-API-Key": "gp_x"}, None)):
        # By either address of the API.
        path = PATH.replace("/api/", "/api/v1/") if caller else PATH
        environ = EnvironBuilder(path=path, headers=Headers(headers)).get_environ()
        b"".join(api.app(environ, lambda *_: lambda _: None))
        assert environ.get(CALLER_KEY) == caller
        environ |= {"RAW_URI": PATH, "REMOTE_ADDR": "192.0.2.7"}
        record = line_of(environ, caplog)
        text = record.getMessage()
        assert text.startswith(f'192.0.2.7 {caller or "-"} "GET {PATH} HTTP/1.1" 200') and token not in text
        assert getattr(record, "fields", None) == ({"caller": "admin"} if caller else {})


def test_a_key_in_an_address_is_not_in_the_line(caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/api/ingest/shelly/?key=gpush_secret&temp=1", "/api/ingest/shelly/?temp=1&KEY=gpush_secret"):
        environ = {"REQUEST_METHOD": "GET", "RAW_URI": path, "SERVER_PROTOCOL": "HTTP/1.1"}
        text = line_of(environ, caplog).getMessage()
        assert "secret" not in text and "temp=1" in text
