"""Logging in, renewing and logging out, on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from argon2 import PasswordHasher
from jwt import decode
from pydantic import SecretStr
from sqlalchemy import select, update
from werkzeug.exceptions import Forbidden

from greenpower.api.http.auth import check_caller
from greenpower.config import Settings
from greenpower.sql import Role, RoleName, TokenFamily, User
from greenpower.sql.extensions import db
from greenpower.sql.setup import make_user
from greenpower.sql.time import now
from greenpower.sql.user import find_user
from tests.api.conftest import KEY, LOGOUT, PATH, REFRESH, Api, close_app, make_app, refused


@pytest.fixture
def api(sql_settings: Settings, mongo_uri: str, mongo_name: str) -> Iterator[Api]:
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    app = make_app(settings)
    yield Api(app, settings)
    close_app(app)


def test_log_in_gives_an_access_and_a_refresh_token(api: Api) -> None:
    response = api.log_in()
    assert response.status_code == 200 and response.headers["Cache-Control"] == "no-store"
    tokens = response.get_json()
    assert list(tokens) == ["access", "refresh"]
    access, refresh = (decode(token, KEY, ["HS256"], issuer="greenpower") for token in tokens.values())
    assert access["exp"] - access["iat"] == 15 * 60 and refresh["exp"] - refresh["iat"] == 7 * 86_400
    assert access["role"] == "admin"
    assert api.get(PATH, token=tokens["access"]).status_code == 200
    with api.app.app_context():
        user = find_user("admin")
        assert user is not None and user.last_login_at is not None and now() - user.last_login_at < timedelta(minutes=1)


def test_a_user_who_is_shut_out_is_out_at_once(api: Api) -> None:
    with api.app.app_context():
        db.session.execute(update(User).values(active=False))
        db.session.commit()
    assert refused(api.get(PATH))
    assert refused(api.log_in())
    assert refused(api.client.post(REFRESH, json={"refresh": api.tokens["refresh"]}))


def test_refresh_gives_new_tokens(api: Api) -> None:
    response = api.client.post(REFRESH, json={"refresh": api.tokens["refresh"]})
    assert response.status_code == 200 and list(response.get_json()) == ["access", "refresh"]
    assert api.get(PATH, token=response.get_json()["access"]).status_code == 200
    again = api.client.post(REFRESH, json={"refresh": response.get_json()["refresh"]})
    assert again.status_code == 200


def test_a_refresh_token_that_comes_twice_ends_the_login(api: Api) -> None:
    stolen = api.tokens["refresh"]
    newer = api.client.post(REFRESH, json={"refresh": stolen}).get_json()
    other = api.log_in().get_json()
    assert refused(api.client.post(REFRESH, json={"refresh": stolen}))
    assert refused(api.client.post(REFRESH, json={"refresh": newer["refresh"]}))
    assert refused(api.get(PATH, token=newer["access"]))
    assert api.get(PATH, token=other["access"]).status_code == 200


def test_of_two_refreshes_at_once_one_wins(api: Api) -> None:
    answers: list[int] = []

    def refresh() -> None:
        answers.append(api.app.test_client().post(REFRESH, json={"refresh": api.tokens["refresh"]}).status_code)

    threads = [threading.Thread(target=refresh) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200, 401, 401, 401]


def test_log_out_ends_all_tokens_of_the_login_and_no_other(api: Api) -> None:
    other = api.log_in().get_json()
    response = api.client.post(LOGOUT, json={"refresh": api.tokens["refresh"]})
    assert (response.status_code, response.data) == (204, b"")
    refusal = api.get(PATH)
    assert refused(refusal)
    assert refused(api.client.post(REFRESH, json={"refresh": api.tokens["refresh"]}))
    assert api.client.post(LOGOUT, json={"refresh": api.tokens["refresh"]}).status_code == 204
    assert api.get(PATH, token=other["access"]).status_code == 200


def test_families_that_ran_out_are_forgotten_at_the_next_login(api: Api) -> None:
    with api.app.app_context():
        db.session.execute(update(TokenFamily).values(expires_at=now() - timedelta(seconds=1)))
        db.session.commit()
        api.log_in()
        assert len(db.session.scalars(select(TokenFamily)).all()) == 1


@pytest.mark.parametrize("role", RoleName)
def test_every_role_reads_telemetry(api: Api, role: RoleName) -> None:
    with api.app.app_context():
        make_user("ada", "password", role)
    tokens = api.log_in("ada", "password").get_json()
    assert api.get(PATH, token=tokens["access"]).status_code == 200
    assert api.get("/api/telemetry/events/", token=tokens["access"]).status_code == 200


def test_a_role_is_the_one_the_database_has_now(api: Api) -> None:
    """A token says admin, the user is a viewer by now: what needs an operator is refused."""

    def check() -> str:
        with api.app.test_request_context(headers={"Authorization": f"Bearer {api.tokens['access']}"}):
            return check_caller(RoleName.OPERATOR).username

    assert check() == "admin"
    with api.app.app_context():
        viewer = db.session.scalars(select(Role.id).where(Role.name == "viewer")).one()
        db.session.execute(update(User).values(role_id=viewer))
        db.session.commit()
    with pytest.raises(Forbidden):
        check()


def test_a_password_hashed_with_old_parameters_is_hashed_again(api: Api) -> None:
    with api.app.app_context():
        old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse")
        db.session.execute(update(User).values(password_hash=old))
        db.session.commit()
        assert api.log_in().status_code == 200
        db.session.expire_all()
        user = find_user("admin")
        assert user is not None and user.password_hash != old
    assert api.log_in().status_code == 200
