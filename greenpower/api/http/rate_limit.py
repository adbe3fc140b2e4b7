"""Rate limits, counted in Redis for all processes together; while Redis is away, in each process for itself.

Each address has a limit for each resource. Logins have a limit of their own, and failed logins a lower one; so have
exchanges of API keys, apart from logins. Failed logins are counted for each account, too, from whatever address they
come: the more there are, the longer the account waits. Health checks are not limited.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any, TypeVar, cast

from flask import Flask, Response, request
from flask_limiter import Limiter, RateLimitExceeded
from flask_limiter.util import get_remote_address
from limits import RateLimitItem, parse_many
from limits.strategies import STRATEGIES
from redis import RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.api.http.errors import problem
from greenpower.api.http.rate_limit_parts import STRATEGY_NAME, PartsRateLimiter
from greenpower.config import ConfigError, Settings

View = TypeVar("View", bound=Callable[..., Any])
# What a view checks: a password or a key. Each has limits of its own.
CHECKED_MARK = "failed_checks_are_counted_as"
LOGINS, KEYS = "logins", "keys"
KEY_PREFIX = "greenpower"
# A request waits no longer than this for a Redis that hangs. After that, Redis is not asked for a while.
REDIS_TIMEOUT_SECONDS = 0.5
ACCOUNT_SCOPE = "failed-account"
UNLIMITED_BLUEPRINTS = ("health", "metrics", "static")
FAILED_LOGIN_CODES = (401, 409)
# Each attempt costs 20 ms of a processor, good or not.
LOGIN_ATTEMPTS = "60 per minute"
# A key costs next to nothing to check, and cannot be guessed.
KEY_ATTEMPTS = "600 per minute"
# Where the end of the window is not known.
DEFAULT_RETRY_SECONDS = 60


def login_limits(view: View) -> View:
    """Mark a view that checks a password: failures are counted, and too many block the address and the account for a
    time."""
    setattr(view, CHECKED_MARK, LOGINS)
    return view


def key_limits(view: View) -> View:
    """Mark a view that checks an API key: failures are counted, and too many block the address for a time."""
    setattr(view, CHECKED_MARK, KEYS)
    return view


def init_limits(app: Flask, settings: Settings) -> None:
    """Limit an app. Call it after all views are registered. Raises ConfigError for a limit that cannot be read."""
    general = _limits("API_RATE_LIMIT", settings.api_rate_limit)
    login = _limits("API_LOGIN_LIMIT", settings.api_login_limit)
    account = _limits("API_ACCOUNT_LIMIT", settings.api_account_limit)
    STRATEGIES[STRATEGY_NAME] = PartsRateLimiter
    limiter = Limiter(
        get_remote_address,
        default_limits=[str(limit) for limit in general],
        storage_uri=settings.redis_address or "memory://",
        storage_options=_redis_options() if settings.redis_address else {},
        strategy=STRATEGY_NAME,
        in_memory_fallback_enabled=bool(settings.redis_address),
        key_prefix=KEY_PREFIX,
    )

    @app.errorhandler(RateLimitExceeded)
    def exceeded(error: RateLimitExceeded) -> Response:
        wait = DEFAULT_RETRY_SECONDS
        with suppress(RedisError):
            if limiter.current_limit is not None:
                wait = max(1, limiter.current_limit.reset_at - int(time.time()))
        whose = "for this account" if error.limit.scope == ACCOUNT_SCOPE else "from this address"
        message = f"Too many requests {whose}. Try again in {wait} s."
        return problem(429, message, headers={"Retry-After": str(wait)})

    for endpoint, view in list(app.view_functions.items()):
        if endpoint.split(".")[0] in UNLIMITED_BLUEPRINTS:
            limiter.exempt(view)
        elif checked := getattr(view, CHECKED_MARK, ""):
            limited: Any = view
            if checked == LOGINS and account:
                limited = limiter.shared_limit(
                    _joined(account), scope=ACCOUNT_SCOPE, key_func=_account, deduct_when=_failed
                )(limited)
            if login:
                limited = limiter.shared_limit(_joined(login), scope=f"failed-{checked}", deduct_when=_failed)(limited)
                attempts = LOGIN_ATTEMPTS if checked == LOGINS else KEY_ATTEMPTS
                limited = limiter.shared_limit(attempts, scope=checked)(limited)
            app.view_functions[endpoint] = cast(Any, limited)

    limiter.init_app(app)


def _account() -> str:
    """The account that a login is for: a hash of the name, since a name may be anything; of the caller, where it is a
    change of his password."""
    body = request.get_json(silent=True)
    name = body.get("username") if isinstance(body, dict) else None
    if not isinstance(name, str):
        name = request.headers.get("Authorization", "")
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _joined(limits: tuple[RateLimitItem, ...]) -> str:
    return "; ".join(str(limit) for limit in limits)


def _failed(response: Response) -> bool:
    return response.status_code in FAILED_LOGIN_CODES


def _limits(name: str, value: str) -> tuple[RateLimitItem, ...]:
    try:
        return tuple(parse_many(value)) if value.strip() else ()
    except ValueError:
        raise ConfigError(f"{name}: {value!r} is not a limit such as `100 per minute; 1000 per hour`") from None


def _redis_options() -> dict[str, Any]:
    return {
        "socket_timeout": REDIS_TIMEOUT_SECONDS,
        "socket_connect_timeout": REDIS_TIMEOUT_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
