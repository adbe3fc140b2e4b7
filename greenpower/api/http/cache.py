"""What callers may keep of answers: ETags where asking again is common and the answer seldom changes."""

from __future__ import annotations

from flask import Response, request


def with_etag(response: Response) -> Response:
    """Give an answer an ETag; 304 where the caller has it already. It is checked with us every time, and never kept by
    a cache that several share."""
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = "Authorization"
    response.add_etag()
    conditional = response.make_conditional(request)
    assert isinstance(conditional, Response)
    return conditional


def private(response: Response) -> Response:
    """Keep an answer out of every cache: it holds a secret."""
    response.headers["Cache-Control"] = "no-store"
    return response
