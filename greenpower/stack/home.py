"""GREENPOWER_HOME: one run at a time, keys that are made up once, and files that only their owner reads."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

from dotenv import dotenv_values

from greenpower.config import run_file
from greenpower.stack.error import EmbeddedError

KEY_BYTES = 32
PASSWORD_BYTES = 8  # typed by hand, and guarded by a slow hash
GENERATED = {"SECRET_KEY": KEY_BYTES, "JWT_SIGNING_KEY": KEY_BYTES, "ADMIN_PASSWORD": PASSWORD_BYTES}


@contextlib.contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home for this run. Raises EmbeddedError where another run has it or it cannot be written."""
    folder = run_file(home).parent
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedError(f"GREENPOWER_HOME {home} cannot be used ({error.strerror}): set another") from None
    with os.fdopen(handle, "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = lock.read().strip() or "unknown"
            raise EmbeddedError(
                f"GREENPOWER_HOME {home} is in use by another run (process {holder}): stop it or set another"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads (0600), all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def env_text(values: Mapping[str, str]) -> str:
    """`values` as an environment file, quoted so that any value comes back as it was."""
    quoted = ((name, value.replace("\\", "\\\\").replace("'", "\\'")) for name, value in values.items())
    return "".join(f"{name}='{value}'\n" for name, value in quoted)


def generated_keys(home: Path) -> dict[str, str]:
    """SECRET_KEY, JWT_SIGNING_KEY and ADMIN_PASSWORD of this home, made up when it has none yet."""
    path = home / "secrets.env"
    kept = {name: value for name, value in dotenv_values(path, interpolate=False).items() if value}
    keys = {name: kept.get(name) or secrets.token_hex(size) for name, size in GENERATED.items()}
    if keys != kept:
        write_private(path, env_text(keys))
    return keys
