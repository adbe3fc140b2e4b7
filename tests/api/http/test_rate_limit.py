"""Rate limits: failed logins, requests of an address, and what happens while Redis is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from limits.storage import MemoryStorage
from pydantic import SecretStr

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.config import ConfigError, Settings
from greenpower.stack import Mongod, Valkey
from tests.api.conftest import KEY, PATH, PROBE, Api, close_app, make_app, refused

LOGIN = "/api/users/token/"


@contextmanager
def serving(folder: Path, mongod: Mongod, **more: Any) -> Iterator[Api]:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=folder,
        jwt_signing_key=SecretStr(KEY),
        admin_password=SecretStr("correct horse"),
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name="test_limit",
        **more,
    )
    app = make_app(settings)
    try:
        yield Api(app, settings)
    finally:
        close_app(app)


def test_failed_logins_shut_an_address_out_for_a_time(tmp_path: Path, mongod: Mongod, redis_url: str) -> None:
    limits = {"redis_url": SecretStr(redis_url), "api_login_limit": "3 per hour"}
    with serving(tmp_path, mongod, **limits) as one, serving(tmp_path, mongod, **limits) as other:
        for _ in range(5):
            assert one.log_in().status_code == 200  # what succeeds is not counted
        for api in (one, other, one):
            assert refused(api.log_in(password="wrong"))
        # Redis counts for all processes together, and a good password comes too late.
        for api in (one, other):
            answer = api.log_in()
            assert refused(answer, 429) and 0 < int(answer.headers["Retry-After"]) <= 3601
            assert refused(api.client.post("/api/api-keys/token/", json={"key": "x"}), 401)  # counted apart
        assert one.get(PATH).status_code == 200
        elsewhere = one.client.post(
            LOGIN, json={"username": "admin", "password": "correct horse"}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
        )
        assert elsewhere.status_code == 200


def test_failed_exchanges_of_keys_shut_an_address_out_of_those_alone(tmp_path: Path, mongod: Mongod) -> None:
    with serving(tmp_path, mongod, api_login_limit="3 per hour") as api:
        codes = [api.client.post("/api/api-keys/token/", json={"key": "x"}).status_code for _ in range(5)]
        assert codes == [401, 401, 401, 429, 429]
        form = {"grant_type": "client_credentials"}
        assert refused(api.client.post("/api/api-keys/client-credentials/", data=form), 429)
        assert api.log_in().status_code == 200


def test_failed_logins_of_an_account_make_it_wait_whatever_address_they_come_from(
    tmp_path: Path, mongod: Mongod
) -> None:
    with serving(tmp_path, mongod, api_login_limit="100 per hour", api_account_limit="3 per hour") as api:

        def log_in(name: str, password: str, address: int) -> int:
            body = {"username": name, "password": password}
            place = {"REMOTE_ADDR": f"192.0.2.{address}"}
            return api.client.post(LOGIN, json=body, environ_base=place).status_code

        assert [log_in("admin", "wrong", address) for address in range(1, 6)] == [401, 401, 401, 429, 429]
        assert log_in("admin", "correct horse", 9) == 429
        assert log_in("somebody", "wrong", 9) == 401  # another account
        answer = api.log_in()
        assert refused(answer, 429) and "account" in answer.get_json()["message"]


def test_an_address_may_ask_so_often_and_health_is_free(tmp_path: Path, mongod: Mongod) -> None:
    with serving(tmp_path, mongod, api_rate_limit="5 per hour") as api:
        codes = [api.get(PATH).status_code for _ in range(7)]
        assert codes == [200, 200, 200, 200, 200, 429, 429]
        for _ in range(70):
            last = api.client.post(LOGIN, json={"username": "\0", "password": "x"})
        assert refused(last, 429)
        assert all(api.client.get("/api/ready/").status_code == 200 for _ in range(9))
        # Without a proxy, a caller cannot claim another address.
        forged = api.client.get(PATH, headers={"X-Forwarded-For": "192.0.2.7"})
        assert refused(forged, 429)


def test_what_was_taken_in_advance_is_all_that_may_be_asked(
    tmp_path: Path, mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = []
    real = MemoryStorage.incr

    def incr(storage: MemoryStorage, key: str, expiry: float, amount: int = 1) -> int:
        counted.append(amount)
        return real(storage, key, expiry, amount)

    monkeypatch.setattr(MemoryStorage, "incr", incr)
    # Parts of 3 each.
    with serving(tmp_path, mongod, api_rate_limit="600 per hour; 700 per day") as api:
        answers = [api.get(PATH).status_code for _ in range(603)]
        assert answers == [200] * 600 + [429] * 3
        assert len(counted) < 600
        assert api.get("/api/data-types/").status_code == 200  # each resource is counted apart


def test_behind_a_proxy_the_caller_is_who_the_proxy_says(tmp_path: Path, mongod: Mongod) -> None:
    with serving(tmp_path, mongod, api_rate_limit="2 per hour", api_trusted_proxies=1) as api:
        codes = [
            api.client.get(PATH, headers={"X-Forwarded-For": f"10.9.8.7, 192.0.2.{number}"}).status_code
            for number in (1, 1, 1, 2)
        ]
        assert codes == [401, 401, 429, 401]


def test_reads_and_logins_go_on_while_redis_is_away(tmp_path: Path, mongod: Mongod) -> None:
    with (
        Valkey(tmp_path / "valkey") as valkey,
        serving(tmp_path, mongod, redis_url=SecretStr(valkey.url), api_login_limit="3 per hour") as api,
    ):
        assert api.get(PATH).status_code == 200
        valkey.kill()
        assert api.get(PATH).status_code == 200 and api.log_in().status_code == 200
        refresh = api.log_in().get_json()["refresh"]
        assert api.client.post("/api/users/token/logout/", json={"refresh": refresh}).status_code == 204
        codes = [api.log_in(password="wrong").status_code for _ in range(5)]
        assert codes == [401, 401, 401, 429, 429]  # each process counts for itself


@pytest.mark.parametrize("name", ["api_rate_limit", "api_login_limit", "api_account_limit"])
def test_a_limit_that_is_none_keeps_it_from_starting(tmp_path: Path, name: str) -> None:
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=tmp_path,
        jwt_signing_key=SecretStr(KEY),
        mongo_db_uri=SecretStr("mongodb://127.0.0.1:9/"),
    ).model_copy(update={name: "often"})
    with pytest.raises(ConfigError, match=name.upper()):
        create_app(settings, Registry.of(PROBE))
