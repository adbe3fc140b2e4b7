"""A backup is for its owner alone, from the first moment and whatever the umask."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from greenpower.backup.archive import encode, write_file
from greenpower.backup.manifest import Manifest, write_manifest


def test_files_and_folders_of_a_backup_are_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    before = os.umask(0)
    try:
        part = write_file(folder, "sql/user", [encode({"a": 1})])
        write_manifest(folder, Manifest(created_at=datetime.now(UTC), greenpower="1", revision=None, parts=(part,)))
    finally:
        os.umask(before)
    modes = {path.relative_to(folder).as_posix(): path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert modes == {"sql": 0o700, "sql/user.bson.zst": 0o600, "manifest.json": 0o600}
