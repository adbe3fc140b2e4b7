"""`greenpower users restrict` and `greenpower api-keys`, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from greenpower.app import sql_context
from greenpower.bus.visibility import read_visible
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.sql import AuditEntry, Device, RoleName, ServiceZone, TokenFamily
from greenpower.sql.api_key import new_key
from greenpower.sql.extensions import db
from greenpower.sql.setup import make_user
from greenpower.sql.time import now
from greenpower.sql.user import find_user
from tests.command import run_cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    sql_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    redis_url: str,
) -> Run:
    settings = sql_settings.model_copy(update={"redis_url": SecretStr(redis_url)})
    init_sql(settings)
    with sql_context(sql_settings):
        make_user("ada", "a good long one", RoleName.OPERATOR)
        hall = ServiceZone(name="Hall")
        db.session.add(hall)
        db.session.flush()
        db.session.add_all([ServiceZone(name="a=b"), ServiceZone(name="Inner", parent_id=hall.id)])
        db.session.flush()
        db.session.add(Device(device_id="D1", zone_id=hall.id + 2))
        user = find_user("ada")
        assert user is not None
        db.session.add(TokenFamily(id="f" * 32, user_id=user.id, expires_at=now() + timedelta(days=1)))
        db.session.add(new_key("billing", ["devices:read"], now() + timedelta(days=1), None)[0])
        db.session.commit()

    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_cli(monkeypatch, tmp_path, *arguments, settings=settings)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_user_is_restricted_and_has_the_whole_site_again(run: Run, sql_settings: Settings, redis_url: str) -> None:
    code, out, _ = run("users", "restrict", "ada", "--zone", "Hall=operator", "--zone", "a=b")
    assert code == 0 and {"Hall=operator,", "a=b=viewer;"} <= {*out.split()}
    with sql_context(sql_settings), redis.Redis.from_url(redis_url) as store:
        user = find_user("ada")
        assert user is not None and user.restricted and db.session.get(TokenFamily, "f" * 32).revoked_at is not None  # type: ignore[union-attr]
        assert read_visible(store, str(user.id)) == frozenset(["D1"])
        entry = db.session.query(AuditEntry).filter_by(object_name="ada").order_by(AuditEntry.id.desc()).first()
        assert entry is not None and entry.after == {"restricted": True, "zones": ["Hall: operator", "a=b: viewer"]}
    assert "restricted to Hall=operator, a=b=viewer" in run("users", "list")[1]
    assert run("users", "unrestrict", "ada")[0] == 0
    with sql_context(sql_settings), redis.Redis.from_url(redis_url) as store:
        user = find_user("ada")
        assert user is not None and not user.restricted and not user.zone_roles
        assert read_visible(store, str(user.id)) is None


def test_a_key_is_restricted(run: Run, sql_settings: Settings, redis_url: str) -> None:
    assert run("api-keys", "restrict", "1", "--zone", "Inner")[0] == 0
    listed = run("api-keys", "list")[1]
    assert "billing" in listed and "Inner=viewer" in listed
    with redis.Redis.from_url(redis_url) as store:
        (subject,) = store.hkeys("greenpower:visible")
        assert read_visible(store, subject.decode()) == frozenset(["D1"])
        assert run("api-keys", "unrestrict", "1")[0] == 0
        assert store.hkeys("greenpower:visible") == []


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("users", "restrict", "ada", "--zone", "Nowhere"), "'Nowhere'"),
        (("users", "restrict", "ada", "--zone", "Hall=admin"), "'admin'"),
        (("users", "restrict", "bob", "--zone", "Hall"), "'bob'"),
        (("users", "restrict", "admin", "--zone", "Hall"), "admin"),
        (("api-keys", "restrict", "9", "--zone", "Hall"), "9"),
    ],
)
def test_what_cannot_be_is_one_line(run: Run, arguments: tuple[str, ...], named: str) -> None:
    code, _, err = run(*arguments)
    assert code != 0 and named in err and len(err.splitlines()) == 1
