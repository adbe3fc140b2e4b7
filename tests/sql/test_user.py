"""Users, roles, token families and passwords as they are stored, on SQLite and on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError, StatementError

from greenpower.app import sql_context
from greenpower.config import ConfigError, Settings
from greenpower.sql import Role, RoleName, TokenFamily, User
from greenpower.sql.extensions import db
from greenpower.sql.password import check_password, hash_password, is_outdated
from greenpower.sql.setup import make_roles, make_user, upgrade
from greenpower.sql.user import find_user


@pytest.fixture
def app(sql_settings: Settings) -> Iterator[Flask]:
    with sql_context(sql_settings) as app:
        upgrade()
        make_roles()
        yield app


def test_roles_are_made_once(app: Flask) -> None:
    assert make_roles() == []
    assert set(db.session.scalars(select(Role.name))) == {"viewer", "operator", "admin"}


def test_each_role_may_what_the_one_below_may() -> None:
    assert RoleName.ADMIN.includes(RoleName.VIEWER) and RoleName.OPERATOR.includes(RoleName.OPERATOR)
    assert not RoleName.VIEWER.includes(RoleName.OPERATOR) and not RoleName.OPERATOR.includes(RoleName.ADMIN)


def test_a_user_is_made_once_and_then_left_alone(app: Flask) -> None:
    assert make_user("ada", "first", RoleName.OPERATOR)
    assert not make_user("ada", "second", RoleName.ADMIN)
    user = find_user("ada")
    assert user is not None and user.role.name == "operator" and user.active
    assert check_password(user.password_hash, "first") and not check_password(user.password_hash, "second")
    assert "first" not in user.password_hash


@pytest.mark.parametrize("name", ["", "a b", "a\0b", "a'b", "x" * 151, "a\nb"])
def test_a_name_that_could_do_harm_is_refused(app: Flask, name: str) -> None:
    with pytest.raises(ConfigError):
        make_user(name, "password", RoleName.VIEWER)
    assert find_user(name) is None


def test_times_come_back_in_utc_and_naive_ones_are_refused(app: Flask) -> None:
    make_user("ada", "password", RoleName.VIEWER)
    user = find_user("ada")
    assert user is not None
    stamp = datetime(2026, 3, 1, 6, 30, tzinfo=timezone(timedelta(hours=6)))
    user.last_login_at = stamp
    db.session.commit()
    db.session.expire_all()
    assert user.last_login_at == stamp and user.last_login_at.tzinfo is UTC
    assert user.created_at.tzinfo is UTC and abs(user.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    user.last_login_at = datetime(2026, 3, 1)
    with pytest.raises(StatementError) as caught:
        db.session.commit()
    assert isinstance(caught.value.orig, ValueError)
    db.session.rollback()


def test_the_database_keeps_references_whole(app: Flask) -> None:
    make_user("ada", "password", RoleName.VIEWER)
    user = find_user("ada")
    assert user is not None
    db.session.add(TokenFamily(id="f" * 32, user_id=user.id, expires_at=datetime.now(UTC)))
    db.session.commit()
    with pytest.raises(IntegrityError):
        db.session.execute(delete(Role).where(Role.name == "viewer"))
    db.session.rollback()
    db.session.execute(delete(User).where(User.username == "ada"))
    db.session.commit()
    assert db.session.scalars(select(TokenFamily)).all() == []


def test_passwords_are_argon2id_with_a_salt_each() -> None:
    one, other = hash_password("secret"), hash_password("secret")
    assert one != other and one.startswith("$argon2id$")
    assert check_password(one, "secret") and not check_password(one, "Secret") and not check_password("rubbish", "x")
    assert not is_outdated(one) and is_outdated("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$u1eXfcWLs0ONcVpHn/tdYA")


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    stored = hash_password("secret")
    assert not check_password(None, "nobody has this password")

    def cost(stored: str | None) -> float:
        began = time.process_time()
        for _ in range(5):
            check_password(stored, "wrong")
        return time.process_time() - began

    cost(None)
    assert 0.3 < cost(None) / cost(stored) < 3
