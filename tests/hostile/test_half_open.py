"""Requests that never become whole: others do not notice, and each is ended when its time is over."""

from __future__ import annotations

import pytest

from greenpower.config import Settings
from tests.hostile.conftest import Run
from tests.hostile.crowd import Crowd
from tests.hostile.others import Others
from tests.wait import LONGEST_STRETCH, busy, wait_until

pytestmark = pytest.mark.slow
CROWD = 96
HEAD_SECONDS, BODY_SECONDS = 6, 8
# The loop looks at deadlines now and then.
LATER_SECONDS = 4
LOGIN = b"POST /api/users/token/ HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HALVES: dict[str, tuple[bytes, bytes, float]] = {
    "silent": (b"", b"", HEAD_SECONDS),
    "half a line": (b"GET /api/rea", b"", HEAD_SECONDS),
    "half the headers": (b"GET /api/ready/ HTTP/1.1\r\nHost: x\r\nX-", b"", HEAD_SECONDS),
    "headers that drip": (b"GET /api/ready/ HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n", HEAD_SECONDS),
    "no body": (LOGIN + b"Content-Length: 60\r\n\r\n", b"", BODY_SECONDS),
    "a body that drips": (LOGIN + b'Content-Length: 600\r\n\r\n{"username": "', b"a", BODY_SECONDS),
    "chunks that drip": (LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", BODY_SECONDS),
    "a body to be asked for": (LOGIN + b"Content-Length: 60\r\nExpect: 100-continue\r\n\r\n", b"", BODY_SECONDS),
    "a whole one and half of the next": (
        b"GET /api/ready/ HTTP/1.1\r\nHost: x\r\n\r\nGET /api/ready/ HTTP/1.1\r\nHost", b"", HEAD_SECONDS),
}  # fmt: skip


@pytest.fixture
def api(run: Run) -> None:
    run("api", api_rate_limit="", api_login_limit="", api_head_seconds=HEAD_SECONDS, api_body_seconds=BODY_SECONDS)


@pytest.mark.usefixtures("api")
def test_half_a_request_holds_up_nobody_and_is_ended_in_time(settings: Settings, base: str) -> None:
    for name, (first, drip, seconds) in HALVES.items():
        with Others(base) as others, Crowd(settings.api_port, CROWD, first=first, drip=drip) as crowd:
            wait_until(lambda crowd=crowd: not crowd.open, seconds + LATER_SECONDS + 6)  # type: ignore[misc]
            others.check()
            stretch = min(busy(), LONGEST_STRETCH)
            assert len(crowd.closed_after) == CROWD, name
            assert max(crowd.closed_after) < (seconds + LATER_SECONDS) * stretch, name
            assert min(crowd.closed_after) > seconds * 0.5, name


@pytest.mark.usefixtures("api")
def test_who_is_told_that_the_connection_ends_and_does_not_close_it_holds_up_nobody(
    settings: Settings, base: str
) -> None:
    ask = b"GET /api/data-types/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with Others(base) as others, Crowd(settings.api_port, CROWD, first=ask, reads=False) as crowd:
        others.go_on(8)
        others.check()
        assert crowd.open == CROWD


def test_more_connections_than_there_are_places_shut_nobody_out(run: Run, settings: Settings, base: str) -> None:
    run("api", api_rate_limit="", api_workers=1, api_head_seconds=60)
    with Others(base) as others, Crowd(settings.api_port, 1500, first=b"GET / HTTP/1.1\r\nX: ") as crowd:
        others.go_on(5)
        others.check()
        assert 500 < crowd.open < 1500
