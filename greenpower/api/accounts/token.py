"""Tokens: issued at login, renewed, revoked. The rules of a token family are in `greenpower.sql.token_family`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from flask import abort
from flask_jwt_extended import create_access_token, create_refresh_token, decode_token
from jwt.exceptions import DecodeError
from sqlalchemy import CursorResult, delete, select, update

from greenpower.api.accounts.revocation_cache import cache_revoked
from greenpower.bus.revocation import ACCESS_SECONDS
from greenpower.bus.visibility import ZONES_CLAIM
from greenpower.sql import ApiKey, RoleName, TokenFamily, User
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.token_family import revoke_families

ACCESS_LIFETIME = timedelta(seconds=ACCESS_SECONDS)
REFRESH_LIFETIME = timedelta(days=7)


def start_family(user: User) -> dict[str, str]:
    """The tokens of a new login: {"access", "refresh"}. Deletes the user's expired families."""
    family = TokenFamily(id=uuid4().hex, user_id=user.id, generation=0, expires_at=now() + REFRESH_LIFETIME)
    db.session.execute(delete(TokenFamily).where(TokenFamily.user_id == user.id, TokenFamily.expires_at < now()))
    db.session.add(family)
    tokens = _tokens(user, family.id, 0)
    db.session.commit()
    return tokens


def key_token(key: ApiKey) -> str:
    """An access token for an API key. It ends with the key."""
    claims = {"fam": key.family, "role": key.role.value, "scopes": key.scopes, **_restriction(key)}
    token: str = create_access_token(key.family, expires_delta=ACCESS_LIFETIME, additional_claims=claims)
    return token


def _restriction(owner: User | ApiKey) -> dict[str, bool]:
    """What a token says of a restriction; which devices may be seen then is in Redis."""
    return {ZONES_CLAIM: True} if owner.restricted else {}


def _role(user: User) -> str:
    """The role as pages show it: of a restricted user the highest in any zone."""
    if not user.restricted:
        return user.role.name
    roles = (RoleName(row.role) for row in user.zone_roles)
    return max(roles, key=tuple(RoleName).index, default=RoleName.VIEWER).value


def renew(refresh: str) -> dict[str, str]:
    """New tokens for a refresh token, which can be used only once: {"access", "refresh"}.

    Aborts with 401 if it is not valid; one that was used before revokes its family.
    """
    claims = _refresh_claims(refresh)
    family, generation = str(claims["fam"]), int(claims["gen"])
    moved = db.session.execute(
        update(TokenFamily)
        .where(TokenFamily.id == family, TokenFamily.generation == generation, TokenFamily.revoked_at.is_(None))
        .values(generation=generation + 1, expires_at=now() + REFRESH_LIFETIME)
    )
    assert isinstance(moved, CursorResult)
    user = db.session.scalar(select(User).where(User.id == int(claims["sub"]), User.active.is_(True)))
    if moved.rowcount == 1 and user is not None:
        tokens = _tokens(user, family, generation + 1)
        db.session.commit()
        return tokens
    db.session.rollback()
    _revoke(family)
    abort(401, "The refresh token was already used or revoked. Log in again.")


def end(refresh: str) -> None:
    """End the login that a refresh token came from. Aborts with 401 if the token is not valid."""
    _revoke(str(_refresh_claims(refresh)["fam"]))


def _revoke(family: str) -> None:
    revoked = revoke_families(TokenFamily.id == family)
    db.session.commit()
    cache_revoked(revoked)


def _refresh_claims(token: str) -> dict[str, Any]:
    """The claims of a refresh token. Raises errors that the JWT callbacks answer with 401."""
    try:
        claims: dict[str, Any] = decode_token(token)
    except RecursionError:
        raise DecodeError("nested too deeply") from None
    if claims.get("type") != "refresh" or "fam" not in claims or "gen" not in claims:
        raise DecodeError("not a refresh token")
    return claims


def _tokens(user: User, family: str, generation: int) -> dict[str, str]:
    identity = str(user.id)
    return {
        "access": create_access_token(
            identity,
            expires_delta=ACCESS_LIFETIME,
            additional_claims={"fam": family, "role": _role(user), **_restriction(user)},
        ),
        "refresh": create_refresh_token(
            identity, expires_delta=REFRESH_LIFETIME, additional_claims={"fam": family, "gen": generation}
        ),
    }
