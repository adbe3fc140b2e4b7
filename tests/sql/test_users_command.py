"""`greenpower users`, on SQLite and on PostgreSQL."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from greenpower.app import sql_context
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.sql import TokenFamily
from greenpower.sql.extensions import db
from greenpower.sql.password import check_password
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

    def run(*arguments: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        code = run_cli(monkeypatch, tmp_path, "users", *arguments, settings=settings)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_user_is_made_listed_and_given_a_password(run: Run, sql_settings: Settings) -> None:
    code, out, err = run("create", "ada", "--role", "operator", "--password-stdin", typed="a good long one\n")
    assert code == 0 and {"ada", "operator"} <= set(re.findall(r"\w+", out)) and err == ""
    assert [line.split()[:2] for line in run("list")[1].splitlines()] == [["ada", "operator"], ["admin", "admin"]]
    with sql_context(sql_settings):
        user = find_user("ada")
        assert user is not None
        db.session.add(TokenFamily(id="f", user_id=user.id, expires_at=now()))
        db.session.commit()
    code, out, err = run("passwd", "ada", "--password-stdin", typed="another good one\n")
    assert code == 0 and {"ada", "1"} <= set(re.findall(r"\w+", out)) and err == ""
    with sql_context(sql_settings):
        user = find_user("ada")
        assert user is not None and check_password(user.password_hash, "another good one")


@pytest.mark.parametrize(
    ("arguments", "typed", "named"),
    [
        (("create", "admin", "--password-stdin"), "a good long one\n", "'admin'"),
        (("create", "a b", "--password-stdin"), "a good long one\n", "'a b'"),
        (("create", "ada", "--password-stdin"), "short\n", "12"),
        (("passwd", "nobody", "--password-stdin"), "a good long one\n", "'nobody'"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: Run, arguments: tuple[str, ...], typed: str, named: str) -> None:
    code, out, err = run(*arguments, typed=typed)
    assert code == 2 and out == "" and named in err and err.count("\n") == 1
