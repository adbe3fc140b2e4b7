"""The head and the body of a push, and allowances: no server."""

from __future__ import annotations

import base64
import json

import h11
import pytest

from greenpower.framing.lines import Overlong
from greenpower.ingest.sources.http.allowance import Allowances
from greenpower.ingest.sources.http.body import MAX_PUSH_LINES, PushBody
from greenpower.ingest.sources.http.request import PushForm, PushHead, PushRefusedError, read_head

BASIC = base64.b64encode(b"device:gpush_1").decode()


def head(target: str = "/api/ingest/rt/", method: str = "POST", **headers: str) -> PushHead:
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return read_head(h11.Request(method=method, target=target, headers=[("Host", "x"), *named]))


@pytest.mark.parametrize(
    ("target", "method", "headers", "key", "form"),
    [
        ("/api/ingest/rt/", "POST", {"Authorization": "Bearer k"}, "k", PushForm.BODY),
        ("/api/v1/ingest/rt", "PUT", {"Authorization": f"Basic {BASIC}"}, "gpush_1", PushForm.BODY),
        ("/api/ingest/rt/?key=k", "POST", {"Content-Type": "application/x-ndjson"}, "k", PushForm.LINES),
        ("/api/ingest/rt/", "POST", {"X-API-Key": "k", "Content-Type": "application/jsonl"}, "k", PushForm.LINES),
        ("/api/ingest/rt/?a=1&key=k", "GET", {}, "k", PushForm.QUERY),
        ("/api/ingest/rt/", "POST", {"Content-Type": "application/json; charset=utf-8"}, None, PushForm.BODY),
        ("/api/ingest/rt/", "POST", {"Authorization": "Basic ÿ"}, "", PushForm.BODY),
    ],
)
def test_head(target: str, method: str, headers: dict[str, str], key: str | None, form: PushForm) -> None:
    found = read_head(h11.Request(method=method, target=target, headers=[(b"Host", b"x"), *_latin(headers)]))
    assert (found.claim, found.key, found.form) == ("rt", key or None, form)
    assert all(name != "key" for name, _ in found.query)


def _latin(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


@pytest.mark.parametrize(
    ("target", "method", "headers", "status"),
    [
        ("/api/ingest/", "POST", {}, 404),
        ("/api/ingest/A/", "POST", {}, 404),
        ("/api/ingest/a/b/", "POST", {}, 404),
        ("/api/ingest/rt/", "DELETE", {}, 405),
        ("/api/ingest/rt/", "POST", {"Content-Encoding": "gzip"}, 415),
        ("/api/ingest/rt/?" + "a=1&" * 600, "GET", {}, 422),
    ],
)
def test_refused_head(target: str, method: str, headers: dict[str, str], status: int) -> None:
    with pytest.raises(PushRefusedError) as refused:
        read_head(h11.Request(method=method, target=target, headers=[("Host", "x"), *headers.items()]))
    assert refused.value.status == status


def cut(found: PushHead, *pieces: bytes, max_bytes: int = 1000, max_frame: int = 100) -> list[bytes | Overlong]:
    body = PushBody(found, max_bytes=max_bytes, max_frame=max_frame)
    return [frame for piece in pieces for frame in body.feed(piece)] + body.end()


def test_lines_are_frames_however_they_come() -> None:
    lines = head(Content_Type="application/x-ndjson")
    text = b'{"a":1}\r\n\n{"b":2}\n{"c":3}'
    expected = [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    for size in range(1, len(text) + 1):
        assert cut(lines, *(text[at : at + size] for at in range(0, len(text), size))) == expected
    assert cut(lines, text + b"\n") == expected
    assert cut(lines) == cut(lines, b"\n\n") == []


def test_a_long_line_costs_itself() -> None:
    first, long, last = cut(head(Content_Type="application/x-ndjson"), b"a\n" + b"x" * 101 + b"\nb")
    assert (first, last) == (b"a", b"b")
    assert isinstance(long, Overlong) and long.length == 101


def test_one_frame() -> None:
    assert cut(head(), b'{"a":', b"1}\n") == [b'{"a":1}\n']
    assert cut(head()) == []


def test_parameters_are_a_frame() -> None:
    (query,) = cut(head("/api/ingest/rt/?temp=21.5&id=a%20b&hum=&key=secret", "GET"))
    assert isinstance(query, bytes) and json.loads(query) == {"temp": "21.5", "id": "a b", "hum": ""}
    form = head(Content_Type="application/x-www-form-urlencoded")
    (posted,) = cut(form, b"temp=21.5&id=", b"%C3%A4")
    assert isinstance(posted, bytes) and json.loads(posted) == {"temp": "21.5", "id": "ä"}
    for wrong in (b"", b"a=1&a=2"):
        with pytest.raises(PushRefusedError) as refused:
            cut(form, wrong)
        assert refused.value.status == 422


def test_limits_of_a_body() -> None:
    lines = head(Content_Type="application/x-ndjson")
    for found, pieces in ((head(), [b"x" * 101]), (lines, [b"x\n" * 400, b"x\n" * 200])):
        with pytest.raises(PushRefusedError) as refused:
            cut(found, *pieces)
        assert refused.value.status == 413
    with pytest.raises(PushRefusedError):
        PushBody(head(Content_Length="101"), max_bytes=1000, max_frame=100)
    with pytest.raises(PushRefusedError):
        cut(lines, b"x\n" * (MAX_PUSH_LINES + 1), max_bytes=10**6)
    assert len(cut(lines, b"x\n" * MAX_PUSH_LINES, max_bytes=10**6)) == MAX_PUSH_LINES


def test_an_allowance_fills_up_again() -> None:
    now = [0.0]
    allowances = Allowances(60, lambda: now[0])
    assert allowances.wait("a") == 0
    allowances.take("a", 70)
    assert allowances.wait("a") == 11
    assert allowances.wait("b") == 0
    now[0] += 10.5
    assert allowances.wait("a") == 0
    allowances.take("a")
    assert allowances.wait("a") == 2
    now[0] += 3600
    allowances.take("a", 59)
    assert allowances.wait("a") == 0
    endless = Allowances(0)
    endless.take("a", 10**9)
    assert endless.wait("a") == 0
