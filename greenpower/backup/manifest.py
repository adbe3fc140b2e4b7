"""The manifest: what a backup consists of. Written last, so a folder without one is no backup."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from greenpower.backup.archive import ArchiveError, Part

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What there is. created_at: when it began; what came later is in it only in part. revision: of the SQL database.
    greenpower: the version that wrote it."""

    created_at: datetime
    greenpower: str
    revision: str | None
    parts: tuple[Part, ...]

    def of(self, kind: str) -> tuple[Part, ...]:
        """The files of one database: `mongo` or `sql`."""
        return tuple(part for part in self.parts if part.name.startswith(f"{kind}/"))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all. Raises OSError."""
    text = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1, default=datetime.isoformat)
    scratch = folder / f"{NAME}.part"
    with scratch.open("w", encoding="utf-8") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.rename(folder / NAME)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder. Raises ArchiveError where there is none that can be used."""
    path = folder / NAME
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["format"] != FORMAT:
            raise ArchiveError(f"{path}: of format {found['format']}, which this version does not read")
        return Manifest(
            created_at=datetime.fromisoformat(found["created_at"]),
            greenpower=found["greenpower"],
            revision=found["revision"],
            parts=tuple(Part(**part) for part in found["parts"]),
        )
    except FileNotFoundError:
        raise ArchiveError(f"{folder} has no {NAME}: no backup, or one that did not come to its end") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path} cannot be read: {error}") from None
