"""The access token of a Socket.IO connection, checked by its signature only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

from greenpower.bus.visibility import ZONES_CLAIM

ISSUER = "greenpower"
MAX_TOKEN_LENGTH = 8192
# Scopes that a key needs; users may read everything.
READ_TELEMETRY, READ_DEVICES, READ_ALARMS = "telemetry:read", "devices:read", "alarms:read"


class Refused(Exception):
    """The token is not accepted. The text is the reason that the client gets: one word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketClaims:
    """The claims of a token. expires: Unix time. family: the login or key that it came from.

    scopes: of a key; None for a user. types, devices: what it is limited to; None for no limit. restricted: to service
    zones; which devices these have is in Redis.
    """

    subject: str
    family: str
    expires: float
    scopes: frozenset[str] | None = None
    types: frozenset[str] | None = None
    devices: frozenset[str] | None = None
    restricted: bool = False

    def may_have(self, scope: str) -> bool:
        """Whether it has a scope."""
        return self.scopes is None or scope in self.scopes

    def may_see(self, type_name: str, device_id: str | None = None) -> bool:
        """Whether it may see a type, or a device of it."""
        if self.types is not None and type_name not in self.types:
            return False
        return device_id is None or self.devices is None or device_id in self.devices


def check_token(token: object, key: str) -> SocketClaims:
    """The claims of an access token. Raises Refused: `token-missing`, `token-expired`, `token-invalid`, `forbidden`."""
    if not isinstance(token, str) or not token:
        raise Refused("token-missing")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Refused("token-invalid")
    try:
        found = jwt.decode(
            token,
            key,
            algorithms=["HS256"],
            issuer=ISSUER,
            options={"require": ["exp", "sub", "iss"]},
        )
    except jwt.ExpiredSignatureError:
        raise Refused("token-expired") from None
    except (jwt.InvalidTokenError, RecursionError):
        raise Refused("token-invalid") from None
    if found.get("type") != "access" or not isinstance(found.get("fam"), str):
        raise Refused("token-invalid")
    claims = SocketClaims(
        subject=str(found["sub"]),
        family=found["fam"],
        expires=float(found["exp"]),
        scopes=_texts(found, "scopes"),
        types=_texts(found, "types"),
        devices=_texts(found, "devices"),
        restricted=ZONES_CLAIM in found,
    )
    if not claims.may_have(READ_TELEMETRY):
        raise Refused("forbidden")
    return claims


def _texts(claims: dict[str, Any], name: str) -> frozenset[str] | None:
    """A claim that is a list of texts; None if it is absent. A claim of another form allows nothing."""
    if name not in claims:
        return None
    value = claims[name]
    return frozenset(item for item in value if isinstance(item, str)) if isinstance(value, list) else frozenset()
