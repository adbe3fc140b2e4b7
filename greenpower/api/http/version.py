"""Versions of the API: `/api/v1/…` is `/api/…`, and what will go says so in its answers.

What belongs here: the alias, the addresses that links of an answer use, deprecation headers. What does not: the policy
(docs/versions.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import wraps
from typing import Any, TypeVar, cast

import flask
from flask import after_this_request, request
from flask_smorest import abort
from werkzeug.wrappers.response import Response

View = TypeVar("View", bound=Callable[..., Any])

PREFIX = "/api/"
#: the only one there is
API_VERSION_NUMBER = 1
ALIAS = f"{PREFIX}v{API_VERSION_NUMBER}/"
AS_ALIAS = "greenpower.versioned"
OTHER_VERSION = re.compile(rf"{PREFIX}v(\d+)(?:/|$)")


class VersionAlias:
    """WSGI: serves `/api/v1/…` as `/api/…`, so that both are the same in everything but the links of an answer."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(ALIAS):
            # In the server's own environment, where the access line finds the caller.
            environ |= {"PATH_INFO": PREFIX + path[len(ALIAS) :], AS_ALIAS: True}
        return self.application(environ, start_response)


def init_versions(app: flask.Flask) -> None:
    """Serve the alias, and name the versions there are to those who ask for another."""
    app.wsgi_app = VersionAlias(app.wsgi_app)  # type: ignore[method-assign]

    @app.before_request
    def name_unknown_version() -> None:
        if request.url_rule is None and (other := OTHER_VERSION.match(request.path)):
            abort(
                404,
                message=f"This API has no version {other[1]}, only {API_VERSION_NUMBER}: {ALIAS}",
            )


def asked_address() -> str:
    """The address of this request without its query, as the caller wrote it: with the version or without."""
    address: str = request.base_url
    if request.environ.get(AS_ALIAS):
        return address.replace(PREFIX, ALIAS, 1)
    return address


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecation:
    """What will go. since: when that was said; sunset: when it goes at the earliest; instead: the path to use."""

    since: date
    sunset: date
    instead: str | None = None

    def headers(self) -> dict[str, str]:
        """The headers of RFC 9745 and RFC 8594."""
        found = {
            "Deprecation": f"@{int(_midnight(self.since).timestamp())}",
            "Sunset": format_datetime(_midnight(self.sunset), usegmt=True),
        }
        if self.instead is not None:
            found["Link"] = f'<{self.instead}>; rel="successor-version"'
        return found


def note_deprecation(deprecation: Deprecation) -> None:
    """Say in the answer to this request that what it used will go: for a parameter."""

    @after_this_request
    def add(response: Response) -> Response:
        response.headers.extend(deprecation.headers())
        return response


def deprecated(deprecation: Deprecation) -> Callable[[View], View]:
    """Say in all answers of a view that it will go. Add `deprecated=True` to its documentation as well."""

    def decorate(view: View) -> View:
        @wraps(view)
        def noted(*args: Any, **kwargs: Any) -> Any:
            note_deprecation(deprecation)
            return view(*args, **kwargs)

        return cast(View, noted)

    return decorate


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
