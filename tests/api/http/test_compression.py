"""Answers are compressed for callers that accept it, and are the same otherwise."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime, timedelta

import pytest

from greenpower.api.http import compression
from tests.api.energy.meter import PATH, Meters

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sent(meters: Meters, encoding: str | None, **more: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {meters.tokens['access']}",
        **({} if encoding is None else {"Accept-Encoding": encoding}),
        **more,
    }


@pytest.fixture
def filled(meters: Meters) -> Meters:
    meters.store("M1", [(NOON + timedelta(minutes=number), {"volts": 230.0}) for number in range(100)])
    return meters


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("*", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("br", False),
        ("identity;q=1, gzip;q=0.5", False),
    ],
)
def test_lists_are_compressed_on_request(filled: Meters, encoding: str | None, packed: bool) -> None:
    plain = filled.client.get(PATH + "?page_size=100", headers=sent(filled, None))
    found = filled.client.get(PATH + "?page_size=100", headers=sent(filled, encoding))
    assert found.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(found.data) if packed else found.data) == plain.data
    assert int(found.headers["Content-Length"]) == len(found.data)
    assert "Accept-Encoding" in plain.headers["Vary"] and "Accept-Encoding" in found.headers["Vary"]
    head = filled.client.head(PATH + "?page_size=100", headers=sent(filled, encoding))
    assert head.headers["Content-Length"] == found.headers["Content-Length"] and not head.data


def test_what_is_not_compressed(filled: Meters) -> None:
    short = filled.client.get("/api/service-zones/", headers=sent(filled, "gzip"))
    assert "Content-Encoding" not in short.headers
    # A stream; and an answer with a secret.
    export = filled.client.get(PATH + "export/", headers=sent(filled, "gzip"))
    assert "Content-Encoding" not in export.headers and export.data.startswith(b"{")
    login = filled.client.post(
        "/api/users/token/",
        json={"username": "admin", "password": "correct horse"},
        headers={"Accept-Encoding": "gzip"},
    )
    assert "Content-Encoding" not in login.headers


def test_an_etag_holds_for_both_forms(filled: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MIN_COMPRESSED_BYTES", 100)
    path = "/api/data-types/"
    packed = filled.client.get(path, headers=sent(filled, "gzip"))
    plain = filled.client.get(path, headers=sent(filled, None))
    assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"
    for tag in (packed.headers["ETag"], plain.headers["ETag"]):
        for encoding in ("gzip", None):
            again = filled.client.get(path, headers=sent(filled, encoding, **{"If-None-Match": tag}))
            assert again.status_code == 304 and not again.data


def test_errors_and_pages_too(filled: Meters) -> None:
    wrong = filled.client.get(PATH + "?" + "&".join(f"nope{n}=1" for n in range(30)), headers=sent(filled, "gzip"))
    assert wrong.status_code == 422
    body = gzip.decompress(wrong.data) if wrong.headers.get("Content-Encoding") else wrong.data
    assert b'"code":422' in body
    page = filled.client.get("/api/docs/", headers=sent(filled, "gzip"))
    plain = filled.client.get("/api/docs/")
    assert page.status_code == 200 and plain.status_code == 200
    # The policy names the script of the page, which is found in its plain text.
    assert page.headers["Content-Security-Policy"] == plain.headers["Content-Security-Policy"]
