"""Tokens: made at login, renewed, ended. The rules of a family are in `greenpower.sql.token_family`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import abort
from flask_jwt_extended import create_access_token, create_refresh_token, decode_token
from jwt.exceptions import DecodeError
from sqlalchemy import CursorResult, delete, select, update

from greenpower.api.accounts.revocation_cache import show_revoked
from greenpower.bus.revocation import ACCESS_SECONDS
from greenpower.sql import ApiKey, TokenFamily, User
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.token_family import revoke_families

ACCESS = timedelta(seconds=ACCESS_SECONDS)
REFRESH = timedelta(days=7)


def start_family(user: User) -> dict[str, str]:
    """The tokens of a new login: {"access", "refresh"}. The user's families that ran out are forgotten."""
    family = TokenFamily(id=uuid4().hex, user_id=user.id, generation=0, expires_at=now() + REFRESH)
    db.session.execute(delete(TokenFamily).where(TokenFamily.user_id == user.id, TokenFamily.expires_at < now()))
    db.session.add(family)
    tokens = _tokens(user, family.id, 0)
    db.session.commit()
    return tokens


def key_token(key: ApiKey) -> str:
    """An access token for a key. It ends with the key."""
    claims = {"fam": key.family, "role": key.role.value, "scopes": key.scopes}
    token: str = create_access_token(key.family, expires_delta=ACCESS, additional_claims=claims)
    return token


def renew(refresh: str) -> dict[str, str]:
    """New tokens for a refresh token, which is then used up: {"access", "refresh"}.

    Aborts with 401 where it is no good; one that was used before ends its family.
    """
    claims = _refresh_claims(refresh)
    family, generation = str(claims["fam"]), int(claims["gen"])
    moved = db.session.execute(
        update(TokenFamily)
        .where(TokenFamily.id == family, TokenFamily.generation == generation, TokenFamily.revoked_at.is_(None))
        .values(generation=generation + 1, expires_at=now() + REFRESH)
    )
    assert isinstance(moved, CursorResult)
    user = db.session.scalar(select(User).where(User.id == int(claims["sub"]), User.active.is_(True)))
    if moved.rowcount == 1 and user is not None:
        tokens = _tokens(user, family, generation + 1)
        db.session.commit()
        return tokens
    db.session.rollback()
    _revoke(family)
    abort(401, "The refresh token was used before or revoked. Log in again.")


def end(refresh: str) -> None:
    """End the login that a refresh token came from. Aborts with 401 where the token is none of ours."""
    _revoke(str(_refresh_claims(refresh)["fam"]))


def _revoke(family: str) -> None:
    revoked = revoke_families(TokenFamily.id == family)
    db.session.commit()
    show_revoked(revoked)


def _refresh_claims(token: str) -> dict[str, Any]:
    """The claims of a refresh token. Raises what the JWT callbacks answer with 401."""
    try:
        claims: dict[str, Any] = decode_token(token)
    except RecursionError:
        raise DecodeError("nested beyond all measure") from None
    if claims.get("type") != "refresh" or "fam" not in claims or "gen" not in claims:
        raise DecodeError("not a refresh token")
    return claims


def _tokens(user: User, family: str, generation: int) -> dict[str, str]:
    identity = str(user.id)
    return {
        "access": create_access_token(
            identity, expires_delta=ACCESS, additional_claims={"fam": family, "role": user.role.name}
        ),
        "refresh": create_refresh_token(
            identity, expires_delta=REFRESH, additional_claims={"fam": family, "gen": generation}
        ),
    }
