"""Whose long bodies are waited for."""

from __future__ import annotations

import time

import jwt
import pytest

from greenpower.api.http.large_body import MAX_UPLOAD_BYTES, BodyAllowance
from greenpower.api.http.request_buffer import RequestBuffer
from greenpower.app import MAX_BODY_BYTES

KEY = "j" * 40
ALLOWED = BodyAllowance(MAX_BODY_BYTES, KEY)


def token(key: str = KEY, lifetime: float = 600, issuer: str = "greenpower") -> str:
    return jwt.encode({"iss": issuer, "sub": "1", "exp": time.time() + lifetime}, key, algorithm="HS256")


def head(path: str = "/api/telemetry/import/?type=rt", signed: str = "", name: str = "Authorization") -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\n{name}: Bearer {signed or token()}\r\nA: b\r\n".encode()


def test_who_may_upload() -> None:
    for path in ("/api/telemetry/import/", "/api/telemetry/import/?type=rt", "/api/v1/telemetry/import/?type=rt"):
        assert ALLOWED(head(path)) == MAX_UPLOAD_BYTES
    assert ALLOWED(head(name="authorization")) == MAX_UPLOAD_BYTES


@pytest.mark.parametrize(
    "given",
    [
        head("/api/users/"),
        head("/api/telemetry/import/abc/"),
        head("/api/telemetry/importer/"),
        head(signed=token("k" * 40)),
        head(signed=token(lifetime=-60)),
        head(signed=token(issuer="other")),
        head(signed="a.b.c"),
        head(name="X-Other"),
        b"POST /api/telemetry/import/ HTTP/1.1\r\nHost: x\r\n",
        b"\xff\xfe\r\n",
    ],
)
def test_nobody_else(given: bytes) -> None:
    assert ALLOWED(given) == MAX_BODY_BYTES


@pytest.mark.parametrize(("key", "is_waited_for"), [(KEY, True), ("k" * 40, False)])
def test_a_body_is_waited_for_or_not(key: str, is_waited_for: bool) -> None:
    buffer = RequestBuffer(MAX_BODY_BYTES, ALLOWED)
    buffer.feed(head(signed=token(key)) + b"Content-Length: 1000000\r\n\r\n" + b"x" * 999_999)
    assert (buffer.whole, buffer.cut) == (not is_waited_for, not is_waited_for)
    buffer.feed(b"x")
    assert buffer.whole and buffer.cut is not is_waited_for


def test_chunks_that_are_too_much_are_announced_as_too_long() -> None:
    buffer = RequestBuffer(MAX_BODY_BYTES, ALLOWED)
    buffer.feed(head() + b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n" % (MAX_UPLOAD_BYTES + 1))
    assert buffer.cut and b"Content-Length: %d\r\n" % (MAX_UPLOAD_BYTES + 1) in buffer.take()
