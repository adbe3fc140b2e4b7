"""Counts of requests: by route, status and latency, over several processes, and through one that begins again."""

from __future__ import annotations

import os
from types import SimpleNamespace

from greenpower.api.http.request_counts import LATENCY_BUCKETS, RequestCounts
from greenpower.api.http.request_metrics import shown_route

ROUTES = [("GET", "/a/"), ("POST", "/a/"), ("GET", "/b/")]


def test_requests_are_counted_by_status_and_latency() -> None:
    counts = RequestCounts(ROUTES, 2)
    for status, seconds in ((200, 0.001), (204, 0.005), (404, 0.006), (503, 60.0), (999, 0.0)):
        counts.add("GET", "/a/", status, seconds)
    counts.add("GET", "/none/", 200, 1.0)
    [found] = counts.read()
    assert (found.method, found.route) == ("GET", "/a/")
    assert found.by_status == (0, 2, 0, 1, 2)
    assert found.by_latency == (3, 1, *[0] * (len(LATENCY_BUCKETS) - 2), 1)
    assert abs(found.seconds - 60.012) < 1e-9


def test_all_processes_are_told_by_each_and_a_new_one_counts_on() -> None:
    counts = RequestCounts(ROUTES, 2)

    def process(requests: int) -> SimpleNamespace:
        worker = SimpleNamespace()
        counts.before_fork(None, worker)
        child = os.fork()
        if child == 0:
            for _ in range(requests):
                counts.add("GET", "/b/", 200, 0.5)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        return worker

    first, second = process(3), process(4)
    assert first.part_of_counts != second.part_of_counts
    counts.after_exit(None, first)
    counts.after_exit(None, first)
    for _ in range(4):
        worker = process(1)
        counts.after_exit(None, worker)
        assert worker.part_of_counts != second.part_of_counts
    [found] = counts.read()
    assert (found.by_status, found.seconds) == ((0, 11, 0, 0, 0), 5.5)


def test_a_route_is_shown_as_the_documentation_has_it() -> None:
    assert shown_route("/api/devices/<int(min=1, max=999):id>/corrections/<string(length=24):correction>/") == (
        "/api/devices/{id}/corrections/{correction}/"
    )
    assert shown_route("/dashboard/<path:name>") == "/dashboard/{name}"
