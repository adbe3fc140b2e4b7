"""Who is calling: the JWT callbacks, and the check of roles and scopes. Tokens are issued in
`greenpower.api.accounts.token`."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any

from flask import Flask, Response, abort, current_app, g, request
from flask_jwt_extended import get_current_user, verify_jwt_in_request
from jwt.exceptions import DecodeError
from sqlalchemy import bindparam, select

from greenpower.api.http.errors import problem
from greenpower.api.http.key_auth import BEARER, READING_METHODS, find_key, key_of_request
from greenpower.api.http.visible_devices import see_zones
from greenpower.sql import ApiKey, Role, RoleName, Scope, TokenFamily, User
from greenpower.sql.actor import Actor, ActorKind, set_actor
from greenpower.sql.extensions import db, jwt
from greenpower.sql.zone_role import read_roles

# User ids, up to the largest that every database has.
SUBJECT = re.compile(r"[1-9][0-9]{0,8}")
KEY_SUBJECT = re.compile(r"key-([0-9a-f]{12})")
CLAIMS_KEY = "greenpower.claims"
# Where the name of the caller is in the environment of a request, for its line in the log.
CALLER_KEY = "greenpower.caller"
# Tokens whose signature was checked recently; about 1 MB.
MAX_REMEMBERED_TOKENS = 1_000
SCOPES = frozenset(scope.value for scope in Scope)
# Runs with every request, so it is built once.
CALLER_QUERY = (
    select(User.id, User.username, Role.name, User.restricted)
    .join(Role, Role.id == User.role_id)
    .join(TokenFamily, TokenFamily.user_id == User.id)
    .where(
        TokenFamily.id == bindparam("family"),
        TokenFamily.revoked_at.is_(None),
        User.id == bindparam("user"),
        User.active.is_(True),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user or API key of a request, as the database has it now. scopes: None for users, who have no limit but the
    role. zones: the role in each service zone, of a restricted one; None: not restricted. role: the highest of them."""

    id: int
    username: str
    role: RoleName
    scopes: frozenset[str] | None = None
    zones: Mapping[int, RoleName] | None = None

    def zones_with(self, role: RoleName) -> frozenset[int] | None:
        """The service zones in which it has at least a role; None: everywhere."""
        return None if self.zones is None else frozenset(zone for zone, had in self.zones.items() if had.includes(role))


class Claims:
    """The claims of tokens whose signature was checked before. Checking it again would give the same result, and take a
    third of a millisecond. Whether a token has expired or was revoked is checked each time."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, token: str) -> dict[str, Any] | None:
        """The claims of an access token that was checked before and has not expired."""
        with self._lock:
            claims = self._known.get(token)
        return claims if claims is not None and claims["exp"] > time.time() else None

    def put(self, token: str, claims: dict[str, Any]) -> None:
        """Remember the claims of a token; the oldest are dropped."""
        with self._lock:
            self._known[token] = claims
            if len(self._known) > MAX_REMEMBERED_TOKENS:
                self._known.popitem(last=False)


def init_auth(app: Flask) -> None:
    """Bind the JWT extension to an app, with errors in the API's shape."""
    jwt.init_app(app)
    app.extensions[CLAIMS_KEY] = Claims()
    jwt.user_lookup_loader(_find_caller)
    jwt.user_lookup_error_loader(_gone)
    jwt.unauthorized_loader(_missing)
    jwt.invalid_token_loader(_invalid)
    jwt.expired_token_loader(_expired)
    app.before_request(_forget_actor)
    app.teardown_request(_forget_actor)


def check_caller(role: RoleName, scope: str = "", *, in_zones: bool = False) -> Caller:
    """The caller, if the token is valid and allows this role or, for an API key, this scope too. in_zones: also those
    who have the role in some service zones only; they see these, and nothing else, from now on.

    Aborts with 401 or 403.
    """
    see_zones(None)
    caller = g.caller = _authenticate()
    request.environ[CALLER_KEY] = caller.username
    kind = ActorKind.USER if caller.scopes is None else ActorKind.KEY
    set_actor(Actor(kind=kind, name=caller.username, address=request.remote_addr))
    if not caller.role.includes(role):
        abort(403, f"This needs the role {role}; {caller.username} has the role {caller.role}.")
    if caller.scopes is not None and scope not in caller.scopes:
        abort(403, f"This needs the scope {scope}." if scope in SCOPES else "This is for users, not for API keys.")
    if caller.zones is not None:
        if not in_zones:
            abort(403, f"This is for the whole site; {caller.username} is restricted to service zones.")
        see_zones(caller.zones_with(role))
    return caller


def _forget_actor(_error: BaseException | None = None) -> None:
    set_actor(None)
    see_zones(None)


def current_caller() -> Caller:
    """The caller of the request, as `check_caller` found it."""
    caller = g.caller
    assert isinstance(caller, Caller)
    return caller


def _authenticate() -> Caller:
    """The caller that the key or the token of the request names. Aborts with 401, or raises what the JWT callbacks
    answer."""
    if (text := key_of_request()) is not None:
        return _authenticate_key(text)
    header = request.headers.get("Authorization", "")
    token = header.removeprefix(BEARER)
    remembered: Claims = current_app.extensions[CLAIMS_KEY]
    if header.startswith(BEARER) and (claims := remembered.get(token)) is not None:
        caller = _find_caller({}, claims)
        return abort(_gone({}, claims)) if caller is None else caller
    try:
        verified = verify_jwt_in_request()
    except RecursionError:
        raise DecodeError("nested too deeply") from None
    caller = get_current_user()
    assert verified is not None and isinstance(caller, Caller)
    if "exp" not in verified[1]:
        raise DecodeError("it would never expire")
    remembered.put(token, verified[1])
    return caller


def _authenticate_key(text: str) -> Caller:
    """The caller that a key in the headers is. Aborts with 401, and with 403 for what is not reading."""
    key = find_key(text)
    if key is None:
        abort(401, "The API key is wrong, expired or revoked.")
    if request.method not in READING_METHODS:
        abort(403, "An API key in a header is for reading. To write, exchange it for a token at /api/api-keys/token/.")
    return _caller_of(key)


def _find_caller(_header: dict[str, Any], claims: dict[str, Any]) -> Caller | None:
    """The user or API key of a token, unless its login was ended or the user is not active."""
    if key := KEY_SUBJECT.fullmatch(claims["sub"]):
        return _find_key(key[1])
    if not SUBJECT.fullmatch(claims["sub"]):
        return None
    # Without the session, so the connection is back in the pool before the view starts.
    with db.engine.connect() as connection:
        row = connection.execute(
            CALLER_QUERY, {"family": str(claims.get("fam")), "user": int(claims["sub"])}
        ).one_or_none()
        if row is not None and row.restricted:
            return _in_zones(row.id, row.username, None, read_roles(connection, user_id=row.id))
    return None if row is None else Caller(id=row.id, username=row.username, role=RoleName(row.name))


def _find_key(public_id: str) -> Caller | None:
    key = db.session.scalar(select(ApiKey).where(ApiKey.public_id == public_id))
    if key is None or not key.is_good():
        return None
    found = _caller_of(key)
    db.session.rollback()
    return found


def _caller_of(key: ApiKey) -> Caller:
    scopes = frozenset(key.scopes)
    if not key.restricted:
        return Caller(id=key.id, username=key.family, role=key.role, scopes=scopes)
    with db.engine.connect() as connection:
        roles = read_roles(connection, key_id=key.id)
    # What its scopes allow, and no more.
    own = {zone: role if key.role.includes(role) else key.role for zone, role in roles.items()}
    return _in_zones(key.id, key.family, scopes, own)


def _in_zones(number: int, name: str, scopes: frozenset[str] | None, zones: Mapping[int, RoleName]) -> Caller:
    """A restricted caller. One without any zone is a viewer who sees nothing."""
    highest = max(zones.values(), key=tuple(RoleName).index, default=RoleName.VIEWER)
    return Caller(id=number, username=name, role=highest, scopes=scopes, zones=zones)


def _gone(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return problem(401, "The token was revoked.")


def _missing(_reason: str) -> Response:
    return problem(401, "This needs `Authorization: Bearer <access token or API key>`.")


def _invalid(_reason: str) -> Response:
    return problem(401, "The token is not valid here.")


def _expired(_header: dict[str, Any], _claims: dict[str, Any]) -> Response:
    return problem(401, "The token has expired.")
