"""Tokens that the system did not make open nothing, and those who have true ones do not notice."""

from __future__ import annotations

import http.client
import json

import httpx
import pytest

from greenpower.config import Settings
from tests.hostile.conftest import Run, log_in
from tests.hostile.forged import FORGERIES, LONG_FORGERIES
from tests.hostile.others import Others
from tests.realtime.conftest import NAMESPACE, Browser, make_token

pytestmark = pytest.mark.slow
# Each takes a token in another way: a list, an administrator's, one that writes.
ROUTES = (
    ("GET", "/api/telemetry/rt-data/"),
    ("GET", "/api/users/"),
    ("DELETE", "/api/users/1/"),
    ("GET", "/api/telemetry/rt-data/export/"),
)
ROUNDS = 3


def status(base: str, method: str, path: str, token: str) -> int:
    """By a client that sends the bytes of a header as they are."""
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, path, headers={"Authorization": b"Bearer " + token.encode("latin-1")})
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


def told(port: int, token: str) -> str:
    """What the gateway says to a client that says who it is with a token: `40…` lets it in, `44…` refuses it."""
    url = f"http://127.0.0.1:{port}/socket.io/?EIO=4&transport=polling"
    with httpx.Client(timeout=20) as client:
        session = json.loads(client.get(url).text[1:])["sid"]
        said = client.post(f"{url}&sid={session}", content=f"40{NAMESPACE},{json.dumps({'token': token})}")
        if said.status_code != 200:  # a message that is too long
            return f"44 {said.status_code}"
        answer = client.get(f"{url}&sid={session}").text
        client.post(f"{url}&sid={session}", content="1")
        return answer


def test_no_forged_token_opens_the_api(run: Run, base: str) -> None:
    run("api", api_rate_limit="")
    true = log_in(base)
    headers = {"Authorization": f"Bearer {true}"}
    with Others(base) as others, Others(base) as readers:
        for _ in range(ROUNDS):
            for method, path in ROUTES:
                found = {name: status(base, method, path, forge(true)) for name, forge in FORGERIES.items()}
                assert set(found.values()) == {401}, {name: code for name, code in found.items() if code != 401}
        for name, forge in LONG_FORGERIES.items():
            assert status(base, "GET", ROUTES[0][1], forge(true)) in (400, 401, 431), name
            answer = httpx.post(f"{base}/api/users/token/refresh/", json={"refresh": forge(true)}, timeout=20)
            assert answer.status_code in (401, 413, 422), name
        assert httpx.get(f"{base}{ROUTES[0][1]}", headers=headers, timeout=20).status_code == 200
        others.check()
        readers.check()


def test_no_forged_token_opens_the_gateway(run: Run, settings: Settings, base: str) -> None:
    run("api", api_rate_limit="")
    run("realtime")
    true = make_token()
    member = Browser(settings.realtime_port, true).connect()
    try:
        with Others(base) as others, Others(f"http://127.0.0.1:{settings.realtime_port}", "/health") as at_gateway:
            for name, forge in FORGERIES.items():
                assert told(settings.realtime_port, forge(true)).startswith("44"), name
            assert member.subscribe("*")["ok"] and member.client.namespaces.keys() == {NAMESPACE}
            others.check()
            at_gateway.check()
    finally:
        member.close()
