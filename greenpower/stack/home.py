"""GREENPOWER_HOME: one run at a time, generated keys, and files that only their owner can read."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from greenpower.broken_file import clear_place, set_aside
from greenpower.config import ConfigError, run_file

KEY_BYTES = 32
PASSWORD_BYTES = 8  # typed by hand, and protected by a slow hash
# What a user notices of a key that is made anew.
LOST_WITH = {
    "SECRET_KEY": "sessions end",
    "JWT_SIGNING_KEY": "every login ends",
    "ADMIN_PASSWORD": "the generated password of the administrator, which stays valid "
    "(set another with `greenpower users passwd`)",
}
Warn = Callable[[str], None]  # takes a line for the operator
GENERATED = {"SECRET_KEY": KEY_BYTES, "JWT_SIGNING_KEY": KEY_BYTES, "ADMIN_PASSWORD": PASSWORD_BYTES}


def ignore(line: str) -> None:
    """For callers with nobody to tell."""


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Lock the home for this run. Raises ConfigError if another run uses it or it cannot be written."""
    folder = run_file(home).parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"GREENPOWER_HOME={home} cannot be used: {error.strerror}") from None
    with os.fdopen(handle, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read().strip() or "unknown"
            raise ConfigError(
                f"GREENPOWER_HOME={home} is in use by another run (process {holder}): stop it or use another home"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (0600), completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    for place in (path, draft):
        clear_place(place)
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def write_where_new(path: Path, text: str) -> None:
    """Write a file as `write_private` does, where it does not say the same already: that works on a full disk too."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text() == text:
            return
    write_private(path, text)


def read_note(path: Path, lost: str, warn: Warn) -> Any:
    """A note of an earlier run, which is JSON; None where there is none. A broken one is set aside."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "no JSON"
        warn(set_aside(path, (why or "unreadable").lower(), lost))
        return None


def env_text(values: Mapping[str, str]) -> str:
    """`values` as an environment file, quoted so that every value is read back unchanged."""
    quoted = ((name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in values.items())
    return "".join(f"{name}='{value}'\n" for name, value in quoted)


def generated_keys(home: Path, warn: Warn = ignore) -> dict[str, str]:
    """SECRET_KEY, JWT_SIGNING_KEY and ADMIN_PASSWORD of this home, generated at the first start.

    Where their file is broken it is set aside, and those that it has still are kept.
    """
    path = home / "secrets.env"
    kept = _kept_keys(path)
    missing = [name for name in GENERATED if name not in kept]
    if missing and path.exists():
        warn(set_aside(path, f"{' and '.join(missing)} cannot be read", "; ".join(LOST_WITH[name] for name in missing)))
    keys = {**kept, **{name: secrets.token_hex(GENERATED[name]) for name in missing}}
    if missing:
        write_private(path, env_text(keys))
    return keys


def _kept_keys(path: Path) -> dict[str, str]:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return {}
    found = {name: value for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items() if value}
    # A key that was cut off is shorter. An operator may have written another password.
    return {
        name: value
        for name, size in GENERATED.items()
        if (value := found.get(name)) and (size < KEY_BYTES or len(value) >= 2 * size)
    }
