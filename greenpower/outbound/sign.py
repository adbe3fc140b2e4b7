"""Signatures: a receiver knows by them that a delivery is from this system, unchanged and young. Pure.

    signature = "v1=" + hex(HMAC-SHA256(secret, timestamp + "." + body))

What does not belong here: the headers that carry it (`webhook`, `mqtt`).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

# 256 bits, as a text that can be copied.
SECRET_BYTES = 32
SECRET_PREFIX = "gpo_"


def new_secret() -> str:
    """A signing secret."""
    return SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The signature of a body that is sent at a time, in seconds since 1970."""
    signed = f"{timestamp}.".encode() + body
    return "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
