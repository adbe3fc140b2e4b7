"""GREENPOWER_HOME: one run at a time, generated keys, and files that only their owner can read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values

from greenpower.config import ConfigError, run_file

KEY_BYTES = 32
PASSWORD_BYTES = 8  # typed by hand, and protected by a slow hash
GENERATED = {"SECRET_KEY": KEY_BYTES, "JWT_SIGNING_KEY": KEY_BYTES, "ADMIN_PASSWORD": PASSWORD_BYTES}


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
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def env_text(values: Mapping[str, str]) -> str:
    """`values` as an environment file, quoted so that every value is read back unchanged."""
    quoted = ((name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in values.items())
    return "".join(f"{name}='{value}'\n" for name, value in quoted)


def generated_keys(home: Path) -> dict[str, str]:
    """SECRET_KEY, JWT_SIGNING_KEY and ADMIN_PASSWORD of this home, generated at the first start."""
    path = home / "secrets.env"
    kept = {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
    keys = {name: kept.get(name) or secrets.token_hex(size) for name, size in GENERATED.items()}
    if keys != kept:
        write_private(path, env_text(keys))
    return keys
