"""API keys as they are, in a header: `Authorization: Bearer gp_…` or `X-API-Key: gp_…`, for reading.

What belongs here: finding the key of a request, and when it was last used. What does not: tokens, and what a caller may
do (`greenpower.api.http.auth`), exchanging a key for a token (`greenpower.api.accounts.api_keys`).
"""

from __future__ import annotations

from datetime import timedelta

from flask import request
from sqlalchemy import or_, select, update

from greenpower.sql import ApiKey
from greenpower.sql.api_key import KEY_PREFIX, split_key
from greenpower.sql.extensions import db
from greenpower.sql.time import now

BEARER = "Bearer "
KEY_HEADER = "X-API-Key"
READING_METHODS = frozenset({"GET", "HEAD"})
# Programs ask all the time; one write per key and minute tells enough.
LAST_USED_EVERY = timedelta(minutes=1)


def key_of_request() -> str | None:
    """The text of the key that a request has in its headers, well formed or not; None if it has none."""
    if (given := request.headers.get(KEY_HEADER)) is not None:
        return given.strip()
    header = request.headers.get("Authorization", "")
    token = header.removeprefix(BEARER).strip()
    return token if header.startswith(BEARER) and token.startswith(KEY_PREFIX) else None


def find_key(text: str) -> ApiKey | None:
    """The key of a text, if it may be used now. Notes that it was used. Its attributes are loaded and detached."""
    parts = split_key(text)
    if parts is None:
        return None
    key = db.session.scalar(select(ApiKey).where(ApiKey.public_id == parts[0]))
    if key is None or not key.matches(parts[1]) or not key.is_good():
        db.session.rollback()
        return None
    db.session.expunge(key)
    db.session.rollback()
    note_use(key)
    return key


def note_use(key: ApiKey) -> None:
    """Keep when a key was last used, to the minute."""
    time = now()
    if key.last_used_at is not None and time - key.last_used_at < LAST_USED_EVERY:
        return
    older = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < time - LAST_USED_EVERY)
    with db.engine.begin() as connection:
        connection.execute(update(ApiKey).where(ApiKey.id == key.id, older).values(last_used_at=time))
