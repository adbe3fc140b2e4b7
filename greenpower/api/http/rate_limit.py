"""Rate limits, counted in Redis for all processes together; while Redis is away, in each process for itself.

Each address has a limit for each resource. Logins have a limit of their own, and failed logins a lower one. Health
checks are not limited.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, cast

from flask import Flask, Response
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
LOGIN_VIEW_MARK = "failed_logins_are_counted"
KEY_PREFIX = "greenpower"
# A request waits no longer than this for a Redis that hangs. After that, Redis is not asked for a while.
REDIS_TIMEOUT_SECONDS = 0.5
UNLIMITED_BLUEPRINTS = ("health", "static")
FAILED_LOGIN_CODES = (401, 409)
# Each attempt costs 20 ms of a processor, good or not.
LOGIN_ATTEMPTS = "60 per minute"
# Where the end of the window is not known.
DEFAULT_RETRY_SECONDS = 60


def login_limits(view: View) -> View:
    """Mark a view that checks a password or a key: failures are counted, and too many block the address for a time."""
    setattr(view, LOGIN_VIEW_MARK, True)
    return view


def init_limits(app: Flask, settings: Settings) -> None:
    """Limit an app. Call it after all views are registered. Raises ConfigError for a limit that cannot be read."""
    general = _limits("API_RATE_LIMIT", settings.api_rate_limit)
    login = _limits("API_LOGIN_LIMIT", settings.api_login_limit)
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
        message = f"Too many requests from this address. Try again in {wait} s."
        return problem(429, message, headers={"Retry-After": str(wait)})

    for endpoint, view in list(app.view_functions.items()):
        if endpoint.split(".")[0] in UNLIMITED_BLUEPRINTS:
            limiter.exempt(view)
        elif getattr(view, LOGIN_VIEW_MARK, False) and login:
            failures = limiter.shared_limit(
                "; ".join(str(limit) for limit in login), scope="failed-logins", deduct_when=_failed
            )
            attempts = limiter.shared_limit(LOGIN_ATTEMPTS, scope="logins")
            app.view_functions[endpoint] = cast(Any, attempts(failures(view)))

    limiter.init_app(app)


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
