"""The blueprint of every resource: flask-smorest's, typed, with strict parameters, and guarded by role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

import flask
import flask_smorest
import marshmallow as ma
import orjson
from webargs import core
from webargs.flaskparser import FlaskParser, abort

from greenpower.api.http.auth import check_caller
from greenpower.api.http.messages import name_wrong_values
from greenpower.sql import RoleName

View = TypeVar("View", bound=Callable[..., Any])
# Resources whose area is not the first part of their path.
AREAS = {"incidents": "telemetry", "corrections": "telemetry", "data-types": "telemetry"}
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}]


class StrictParser(FlaskParser):
    """Refuses undeclared parameters: with a misspelt filter, the answer would hold everything."""

    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {  # noqa: RUF012
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": ma.RAISE,
        "json": ma.RAISE,
    }

    def _raw_load_json(self, req: flask.Request) -> Any:
        if not core.is_json(req.mimetype):
            abort(415, message="The body must be JSON, with Content-Type: application/json.")
        try:
            return orjson.loads(req.get_data(cache=True))
        except orjson.JSONDecodeError as error:
            abort(400, exc=error, message="The body is not JSON.", errors={"json": [str(error)]})


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A resource."""

    ARGUMENTS_PARSER = StrictParser()
    #: for views that several blueprints have
    operation_suffix = ""

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view under the blueprint's prefix. Its name and the blueprint's suffix are the operation's id."""
        decorator: Callable[[View], View] = super().route(rule, **options)

        def decorate(view: View) -> View:
            return decorator(self.doc(operationId=view.__name__ + self.operation_suffix)(view))

        return decorate

    def arguments(self, schema: ma.Schema | type[ma.Schema], **kwargs: Any) -> Callable[[View], View]:
        """Parse and check parameters: of the query, unless `location` says otherwise."""
        # With a class, webargs would make an instance for each request.
        schema = schema() if isinstance(schema, type) else schema
        name_wrong_values(schema)
        decorator: Callable[[View], View] = super().arguments(schema, **{"location": "query", **kwargs})
        return decorator

    def response(
        self, status_code: int, schema: ma.Schema | type[ma.Schema] | None = None, **kwargs: Any
    ) -> Callable[[View], View]:
        """Document an answer, and serialise it unless the view returns a response."""
        decorator: Callable[[View], View] = super().response(status_code, schema, **kwargs)
        return decorator

    def doc(self, **kwargs: Any) -> Callable[[View], View]:
        """Add to the documentation of a view."""
        decorator: Callable[[View], View] = super().doc(**kwargs)
        return decorator

    def errors(self, *codes: int) -> Callable[[View], View]:
        """Document the errors of a view."""

        def decorate(view: View) -> View:
            for code in codes:
                view = super(Blueprint, self).alt_response(code, HTTPStatus(code).name)(view)
            return view

        return decorate

    def alternative(self, code: int, schema: type[ma.Schema]) -> Callable[[View], View]:
        """Document another answer of a view, of another shape."""
        decorator: Callable[[View], View] = super().alt_response(
            code, schema=schema, description=HTTPStatus(code).phrase
        )
        return decorator

    def guarded(self, role: RoleName, *, in_zones: bool = False) -> Callable[[View], View]:
        """Accept callers with at least this role; API keys also need the scope of the area. in_zones: also callers who
        have it in some service zones only, who see nothing else: `docs/security.md` says what that takes. Others get
        403.

        Put it right below `route`, so that it runs first.
        """
        area = area_of(self.url_prefix or "")

        def decorate(view: View) -> View:
            @wraps(view)
            def guard(*args: Any, **kwargs: Any) -> Any:
                check_caller(role, scope_of(area, flask.request.method), in_zones=in_zones)
                return view(*args, **kwargs)

            documented = self.doc(security=SECURITY, **{"x-role": role.value, "x-in-zones": in_zones})(guard)
            return self.errors(401, 403)(cast(View, documented))

        return decorate


def area_of(path: str) -> str:
    """The area of a path, as scopes name it: `telemetry` of `/api/telemetry/events/`."""
    area = path.split("/")[2]
    return AREAS.get(area, area)


def scope_of(area: str, method: str) -> str:
    """The scope that an API key needs for a request."""
    return f"{area}:{'read' if method.upper() in ('GET', 'HEAD') else 'write'}"


def describe(text: str, **more: Any) -> Mapping[str, Any]:
    """Metadata of a field, for the OpenAPI text."""
    return {"description": text, **more}
