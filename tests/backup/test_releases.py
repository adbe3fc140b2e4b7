"""Backups of earlier releases, restored by this code: its API answers what they answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from greenpower.app import create_app
from greenpower.config import Settings
from greenpower.datatype.tier import MAX_RETENTION_SECONDS
from tests.api.conftest import KEY, close_app
from tests.process import Command

RELEASES = sorted(folder for folder in (Path(__file__).parents[1] / "data").glob("release-*") if folder.is_dir())


def differences(found: Any, wanted: Any, place: str = "") -> list[str]:
    """Where an answer lacks what is wanted of it; it may have more keys."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [line for key, item in wanted.items() for line in differences(found.get(key), item, f"{place}/{key}")]
    if isinstance(wanted, list) and isinstance(found, list) and len(found) == len(wanted):
        pairs = enumerate(zip(found, wanted, strict=True))
        return [line for number, (one, other) in pairs for line in differences(one, other, f"{place}/{number}")]
    return [] if found == wanted else [f"{place}: {str(found)[:200]} is not {str(wanted)[:200]}"]


def test_there_is_one() -> None:
    assert RELEASES


@pytest.mark.parametrize("release", RELEASES, ids=lambda folder: folder.name)
def test_a_release_is_restored(release: Path, settings: Settings, tmp_path: Path) -> None:
    made = json.loads((release / "answers.json").read_text())
    kept = {name: MAX_RETENTION_SECONDS for name in Settings.model_fields if name.endswith("_ttl_seconds")}
    settings = settings.model_copy(
        update={
            **kept,
            "device_timezone": "Asia/Dhaka",
            "database_url": SecretStr(f"sqlite:///{tmp_path / 'r.sqlite3'}"),
        }
    )
    with Command(settings, "restore", str(release / "backup"), folder=tmp_path) as restore:
        assert restore.process.wait(120) == 0, restore.log.read_text()
    with Command(settings, "init", folder=tmp_path) as init:
        assert init.process.wait(120) == 0, init.log.read_text()
    app = create_app(settings.model_copy(update={"jwt_signing_key": SecretStr(KEY)}))
    try:
        client = app.test_client()
        who = {"username": made["username"], "password": made["password"]}
        access = client.post("/api/users/token/", json=who).get_json()["access"]
        for path, wanted in made["answers"].items():
            answer = client.get(path, headers={"Authorization": f"Bearer {access}"})
            assert answer.status_code == 200, (path, answer.text)
            found = differences(answer.get_json(), wanted)
            assert not found, "\n".join([path, *found[:20]])
    finally:
        close_app(app)
