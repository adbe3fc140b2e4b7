"""Counting the requests of an app: which route, how it was answered, and how long it took until the answer began."""

from __future__ import annotations

import re
import time

from flask import Flask, Response, current_app, g, request

from greenpower.api.http.request_counts import RequestCounts

COUNTS_KEY = "greenpower.request-counts"
# What no route matches, and methods that no route has: one line each, whatever is asked for.
NO_ROUTE = ("none", "none")
CONVERTER = re.compile(r"<(?:[^:<>]+:)?(\w+)>")


def init_request_metrics(app: Flask, processes: int) -> None:
    """Count the requests of an app. Call it after all views are registered."""
    routes = {
        (method, shown_route(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
    }
    app.extensions[COUNTS_KEY] = RequestCounts([NO_ROUTE, *sorted(routes)], processes)
    # Before all others: what they refuse counts, too.
    app.before_request_funcs.setdefault(None, []).insert(0, _begin)
    app.after_request(_count)


def request_counts(app: Flask | None = None) -> RequestCounts:
    """The counts of an app; of the current one by default."""
    counts = (app or current_app).extensions[COUNTS_KEY]
    assert isinstance(counts, RequestCounts)
    return counts


def shown_route(rule: str) -> str:
    """A route as the documentation shows it: `/api/devices/{id}/`."""
    return CONVERTER.sub(r"{\1}", re.sub(r"\([^)]*\)", "", rule))


def _begin() -> None:
    g.began = time.perf_counter()


def _count(response: Response) -> Response:
    seconds = time.perf_counter() - g.get("began", time.perf_counter())
    if request.url_rule is None or request.method == "OPTIONS":
        method, route = NO_ROUTE
    else:
        method, route = request.method, shown_route(request.url_rule.rule)
    request_counts().add(method, route, response.status_code, seconds)
    return response
