"""What callers may cache: ETags for answers that seldom change, and answers that must never be cached."""

from __future__ import annotations

from flask import Response, request


def with_etag(response: Response) -> Response:
    """Add an ETag to an answer; 304 if the caller has it already. Callers must ask every time; shared caches must not
    store it."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization"
    response.add_etag()
    conditional = response.make_conditional(request)
    assert isinstance(conditional, Response)
    return conditional


def private(response: Response) -> Response:
    """Keep an answer with a secret out of every cache."""
    response.headers["Cache-Control"] = "no-store"
    return response
