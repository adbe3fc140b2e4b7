"""`/metrics` and `/metrics/jobs`: what Prometheus reads of the API and of background jobs.

Not under `/api/`, and not for the world: readable from the networks of METRICS_NETWORKS when no proxy is in between,
from elsewhere with a token or an API key. What does not belong here: counting
(`greenpower.api.http.request_metrics`), what is known of jobs (`greenpower.api.system.job_metrics`).
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from itertools import accumulate

import flask
from flask import Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from greenpower.api.http.auth import check_caller
from greenpower.api.http.context import get_context
from greenpower.api.http.request_counts import LATENCY_BUCKETS, STATUS_CLASSES, RequestCounts
from greenpower.api.http.request_metrics import request_counts
from greenpower.api.system.job_metrics import JobMetrics
from greenpower.sql import RoleName, Scope

PROXY_HEADERS = ("X-Forwarded-For", "Forwarded")
ORIGINAL = "werkzeug.proxy_fix.orig"
BUCKET_LABELS = (*map(str, LATENCY_BUCKETS), "+Inf")


class RequestMetrics(Collector):
    """The requests of all processes of the API."""

    def __init__(self, counts: RequestCounts | None) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "greenpower_api_requests", "requests by route and class of status", labels=("method", "route", "status")
        )
        seconds = HistogramMetricFamily(
            "greenpower_api_request_seconds", "seconds until the answer begins", labels=("method", "route")
        )
        for found in self._counts.read() if self._counts else ():
            place = (found.method, found.route)
            for status, count in zip(STATUS_CLASSES, found.by_status, strict=True):
                if count:
                    requests.add_metric((*place, status), count)
            buckets = [*zip(BUCKET_LABELS, map(float, accumulate(found.by_latency)), strict=True)]
            seconds.add_metric(place, buckets, found.seconds)
        yield requests
        yield seconds


def make_blueprint() -> flask.Blueprint:
    """The resource."""
    blueprint = flask.Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    def show_metrics() -> Response:
        """The requests that the API has answered."""
        return _answer(RequestMetrics(request_counts()))

    @blueprint.get("/metrics/jobs")
    def show_job_metrics() -> Response:
        """Jobs, their queue and schedule, and what waits to be computed again."""
        return _answer(JobMetrics(get_context()))

    @blueprint.before_request
    def check() -> None:
        if not _is_near():
            check_caller(RoleName.VIEWER, Scope.TELEMETRY_READ)

    return blueprint


def _answer(collector: Collector) -> Response:
    registry = CollectorRegistry()
    registry.register(collector)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _is_near() -> bool:
    """Whether somebody in the networks for it asks directly. A proxy speaks for everybody."""
    original = request.environ.get(ORIGINAL, {})
    if any(name in request.headers for name in PROXY_HEADERS) or original.get("HTTP_X_FORWARDED_FOR"):
        return False
    try:
        address = ip_address(original.get("REMOTE_ADDR") or request.environ.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in get_context().settings.networks_of_metrics)
