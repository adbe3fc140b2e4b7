"""How many bytes of a request's body are waited for, by its head: few of strangers, many of whom may upload files.

A body is in memory until it is whole, so the API waits for 64 KiB. Longer ones are taken at addresses that say so, from
callers with a token that we signed. What belongs here: that decision, within microseconds and without a database. What
does not: whether the caller may do it (`auth`); a token that was revoked is refused there, with the body read.
"""

from __future__ import annotations

import re

import jwt

AUTHORIZATION = re.compile(rb"\r\nauthorization:[ \t]*bearer[ \t]+([A-Za-z0-9._-]{1,4096})[ \t]*\r\n", re.IGNORECASE)
LINE = re.compile(rb"[A-Z]+ (?:/api/v[0-9]+|/api)(/[^ ?]*)")
#: addresses behind /api or /api/v1 at which files are uploaded
LARGE_PATHS = frozenset({b"/telemetry/import/"})
MAX_UPLOAD_BYTES = 8 * 1024 * 1024


class BodyAllowance:
    """usual: bytes of any other body. key: with which access tokens are signed."""

    def __init__(self, usual: int, key: str) -> None:
        self.usual = usual
        self._key = key

    def __call__(self, head: bytes) -> int:
        """Bytes of the body that are waited for. head: the request line and the headers."""
        line = LINE.match(head)
        if line is None or line[1] not in LARGE_PATHS or (token := AUTHORIZATION.search(head)) is None:
            return self.usual
        try:
            jwt.decode(token[1].decode(), self._key, algorithms=["HS256"], issuer="greenpower")
        except jwt.PyJWTError:
            return self.usual
        return MAX_UPLOAD_BYTES
