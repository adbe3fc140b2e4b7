"""Files of the home that are broken: set aside under another name, never deleted, with one line that says what is lost.

What belongs here: setting aside. What does not: finding out that a file is broken, and databases. The files of MongoDB
and SQL are never moved; where they cannot be read, the start stops.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from greenpower.config import ConfigError


def set_aside(path: Path, why: str, lost: str) -> str:
    """Rename a broken file or folder to `<name>.broken-<date>`. Returns the line for the operator.

    why: what is wrong with it. lost: what is gone with it. Raises ConfigError where it cannot be renamed.
    """
    name = f"{path.name}.broken-{datetime.now():%Y%m%d-%H%M%S}"
    aside, number = path.with_name(name), 1
    while aside.exists() or aside.is_symlink():
        number += 1
        aside = path.with_name(f"{name}-{number}")
    try:
        path.rename(aside)
    except OSError as error:
        raise ConfigError(f"{path} is broken ({why}) and cannot be renamed: {error.strerror}") from None
    return f"warning: {path} is broken ({why}), set aside as {aside.name}: {lost}"


def clear_place(path: Path) -> list[str]:
    """Set aside what is no file where a file is to be written. Returns the lines for the operator."""
    return [set_aside(path, "not a file", "nothing is lost")] if path.is_dir() else []
