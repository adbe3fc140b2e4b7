"""Rate limits, counted in Redis for all processes together; while Redis is away, in each process for itself.

Every address may ask so often; logins have a limit of their own, and a lower one for those that fail. Health checks
are not limited.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
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
from greenpower.api.http.rate_limit_parts import NAME, PartsRateLimiter
from greenpower.config import ConfigError, Settings

View = TypeVar("View", bound=Callable[..., Any])
MARK = "failed_logins_are_counted"
PREFIX = "greenpower"
# A caller waits no longer than this for a Redis that hangs; after that it is left alone for a while.
SECONDS = 0.5
UNLIMITED = ("health", "static")
FAILED = (401, 409)
# Each costs 20 ms of a processor, good or not.
ATTEMPTS = "60 per minute"
LONGEST_WAIT = 60


def login_limits(view: View) -> View:
    """Mark a view that checks a password or a key: each failure counts, too many shut the address out for a time."""
    setattr(view, MARK, True)
    return view


def init_limits(app: Flask, settings: Settings) -> None:
    """Limit an app. Call it when all views are there. Raises ConfigError for a limit that cannot be read."""
    general = _limits("API_RATE_LIMIT", settings.api_rate_limit)
    login = _limits("API_LOGIN_LIMIT", settings.api_login_limit)
    STRATEGIES[NAME] = PartsRateLimiter
    limiter = Limiter(
        get_remote_address,
        default_limits=[str(limit) for limit in general],
        storage_uri=settings.redis_address or "memory://",
        storage_options=_options() if settings.redis_address else {},
        strategy=NAME,
        in_memory_fallback_enabled=bool(settings.redis_address),
        key_prefix=PREFIX,
    )

    @app.errorhandler(RateLimitExceeded)
    def exceeded(error: RateLimitExceeded) -> Response:
        wait = LONGEST_WAIT
        with suppress(RedisError):
            if limiter.current_limit is not None:
                wait = max(1, limiter.current_limit.reset_at - int(time.time()))
        message = f"Too many requests from this address. Try again in {wait} s."
        return problem(429, message, headers={"Retry-After": str(wait)})

    counted_apart = set()
    for endpoint, view in list(app.view_functions.items()):
        if endpoint.split(".")[0] in UNLIMITED:
            limiter.exempt(view)
        elif getattr(view, MARK, False) and login:
            counted_apart.add(endpoint)
            failures = limiter.shared_limit(
                "; ".join(str(limit) for limit in login), scope="failed-logins", deduct_when=_failed
            )
            attempts = limiter.shared_limit(ATTEMPTS, scope="logins")
            app.view_functions[endpoint] = cast(Any, attempts(failures(view)))

    @limiter.request_filter
    def is_held() -> bool:
        """Whether this process took the request's part of the general limits before. flask-limiter would find the same,
        after it has collected and sorted all limits anew."""
        endpoint, counter = request.endpoint, limiter.limiter
        return (
            bool(general)
            and endpoint is not None
            and endpoint not in counted_apart
            and isinstance(counter, PartsRateLimiter)
            and counter.spend(general, PREFIX, get_remote_address(), endpoint)
        )

    limiter.init_app(app)


def _failed(response: Response) -> bool:
    return response.status_code in FAILED


def _limits(name: str, value: str) -> tuple[RateLimitItem, ...]:
    try:
        return tuple(parse_many(value)) if value.strip() else ()
    except ValueError:
        raise ConfigError(f"{name}: {value!r} is no limit such as `100 per minute; 1000 per hour`") from None


def _options() -> dict[str, Any]:
    return {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS, "retry": Retry(NoBackoff(), 0)}
