"""Passwords: hashing and checking, argon2id."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# 19 MiB, two passes: OWASP's first choice. Sixteen threads that check at once need 300 MiB, not the 1 GiB of the
# library's default.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 1024


def hash_password(password: str) -> str:
    """The hash to store."""
    return _HASHER.hash(password)


def check_password(stored: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed.

    Takes as long where there is no user (`stored` is None), so that the time tells nobody which users exist.
    """
    try:
        matches = _HASHER.verify(_nobody() if stored is None else stored, password)
    except (VerificationError, InvalidHashError):
        return False
    return matches and stored is not None


def is_outdated(stored: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


@cache
def _nobody() -> str:
    return hash_password("nobody has this password")
