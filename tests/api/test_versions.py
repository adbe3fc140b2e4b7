"""Versions of the API: the alias with a number, versions that do not exist, and what says that it will go."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime

import flask
import pytest

from greenpower.api.http.version import Deprecation, deprecated, note_deprecation
from tests.api.energy.meter import METER, PATH, Meters

ALIASED = PATH.replace("/api/", "/api/v1/")


@pytest.fixture
def stored(meters: Meters) -> Meters:
    begin = meters.now - timedelta(hours=1)
    meters.store("M1", [(begin + timedelta(minutes=minute), {"volts": 230.0 + minute}) for minute in range(5)])
    return meters


def test_the_alias_answers_the_same(stored: Meters) -> None:
    assert METER.endpoint is not None
    assert stored.body(ALIASED, page_size=10) == stored.body(PATH, page_size=10)
    for path in ("/api/v1/devices/", "/api/v1/schema/"):
        assert stored.get(path).status_code == stored.get(path.replace("/v1", "")).status_code == 200


def test_links_keep_the_version_that_was_asked(stored: Meters) -> None:
    for path in (PATH, ALIASED):
        rows, query, pages = [], {"page_size": 2, "order": "asc"}, 0
        body = stored.body(path, **query)
        while True:
            rows += body["results"]
            pages += 1
            if body["next"] is None:
                break
            assert path in body["next"]
            body = stored.body(body["next"].partition("://")[2].partition("/")[2].join(("/", "")))
        assert len(rows) == 5 and pages == 3


@pytest.mark.parametrize("path", ("/api/v2/health/", "/api/v2/", "/api/v0/telemetry/meter-data/"))
def test_another_version_is_named(meters: Meters, path: str) -> None:
    response = meters.get(path)
    assert response.status_code == 404
    assert response.is_json and path.split("/")[2].removeprefix("v") in response.get_json()["message"]
    assert "/api/v1/" in response.get_json()["message"]


def test_roles_hold_under_the_alias(meters: Meters) -> None:
    assert meters.app.test_client().get(ALIASED).status_code == 401


def test_what_will_go_says_so() -> None:
    going = Deprecation(since=date(2026, 11, 29), sunset=date(2027, 6, 1), instead="/api/new/")
    app = flask.Flask(__name__)

    @app.get("/old/")
    @deprecated(going)
    def old() -> str:
        return "old"

    @app.get("/parameter/")
    def parameter() -> str:
        if "was" in flask.request.args:
            note_deprecation(going)
        return "new"

    client = app.test_client()
    for path in ("/old/", "/parameter/?was=1"):
        headers = client.get(path).headers
        since = datetime.fromtimestamp(int(headers["Deprecation"].removeprefix("@")), UTC)
        assert since.date() == going.since
        assert parsedate_to_datetime(headers["Sunset"]).date() == going.sunset
        assert headers["Link"] == '</api/new/>; rel="successor-version"'
    assert "Deprecation" not in client.get("/parameter/").headers
