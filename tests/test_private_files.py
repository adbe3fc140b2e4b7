"""Modes of files: new ones are for their user alone, those of an older release are closed, other people's are left."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from greenpower.private_files import close_to_others, make_private_folder, private_opener


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def open_home(tmp_path: Path) -> Path:
    """A home as an older release left it."""
    home = tmp_path / "home"
    for folder in ("mongod/data/journal", "run", "valkey/appendonlydir"):
        (home / folder).mkdir(parents=True)
    for name in (
        "mongod/data/WiredTiger.wt",
        "run/lock",
        "greenpower.sqlite3",
        "greenpower.sqlite3-wal",
        "secrets.env",
    ):
        (home / name).write_text("x")
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return home


def test_an_open_home_is_closed_and_then_there_is_nothing_to_do(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    everything = [home, *home.rglob("*")]
    assert close_to_others(home) == len(everything)
    assert {mode(path) for path in everything if path.is_dir()} == {0o700}
    assert {mode(path) for path in everything if path.is_file()} == {0o600}
    assert close_to_others(home) == 0


def test_what_is_not_ours_in_it_stays(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    (home / "site.toml").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("x")
    (home / "valkey/link").symlink_to(outside)
    for path in (home / "site.toml", outside):
        path.chmod(0o644)
    close_to_others(home)
    assert mode(home / "site.toml") == mode(outside) == 0o644


def test_a_shared_folder_is_not_closed_but_what_is_ours_in_it(tmp_path: Path) -> None:
    home = open_home(tmp_path)
    home.chmod(0o1777)
    close_to_others(home)
    assert mode(home) == 0o777 | stat.S_ISVTX and mode(home / "secrets.env") == 0o600


def test_a_home_that_is_not_there_is_none_of_its_business(tmp_path: Path) -> None:
    assert close_to_others(tmp_path / "none", tmp_path / "no-file") == 0


def test_new_ones_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_private_folder(tmp_path / "a")
        with open(tmp_path / "a" / "file", "w", opener=private_opener):
            pass
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "file")) == (0o700, 0o600)


@pytest.mark.parametrize("command", ["init", "migrate"])
def test_a_command_that_makes_the_database_of_users_makes_it_private(command: str, tmp_path: Path) -> None:
    """Also where it fails afterwards: there is no MongoDB here."""
    home = tmp_path / "home"
    subprocess.run(
        ["sh", "-c", 'umask 022; exec "$@"', "sh", sys.executable, "-m", "greenpower", command],
        cwd=tmp_path,
        env={
            **os.environ,
            "GREENPOWER_HOME": str(home),
            "MONGO_DB_URI": "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=1",
        },
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert mode(home) == 0o700
    assert mode(home / "greenpower.sqlite3") == 0o600
