"""The manifest: the files of a backup. It is written last, so a folder without one is no backup."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from greenpower.backup.archive import ArchiveError, ArchiveFile
from greenpower.private_files import private_opener

MANIFEST_NAME = "manifest.json"
MANIFEST_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The manifest. created_at: when the backup began; later writes are only partly in it. revision: of the SQL
    database. greenpower: the version that wrote it."""

    created_at: datetime
    greenpower: str
    revision: str | None
    parts: tuple[ArchiveFile, ...]

    def of(self, kind: str) -> tuple[ArchiveFile, ...]:
        """The files of one database: `mongo` or `sql`."""
        return tuple(part for part in self.parts if part.name.startswith(f"{kind}/"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all. Raises OSError."""
    text = json.dumps({"format": MANIFEST_FORMAT, **asdict(manifest)}, indent=1, default=datetime.isoformat)
    scratch = folder / f"{MANIFEST_NAME}.part"
    with open(scratch, "w", encoding="utf-8", opener=private_opener) as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.rename(folder / MANIFEST_NAME)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises ArchiveError where there is none that can be used."""
    path = folder / MANIFEST_NAME
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["format"] != MANIFEST_FORMAT:
            raise ArchiveError(f"{path}: of format {found['format']}, which this version does not read")
        return Manifest(
            created_at=datetime.fromisoformat(found["created_at"]),
            greenpower=found["greenpower"],
            revision=found["revision"],
            parts=tuple(ArchiveFile(**part) for part in found["parts"]),
        )
    except FileNotFoundError:
        raise ArchiveError(f"{folder} has no {MANIFEST_NAME}: it is no backup, or one that was interrupted") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path} cannot be read: {error}") from None
