"""Ingest's own HTTP port: /health and /metrics, in a thread beside the event loop.

What belongs here: answering. What does not: what the parts of the health are (`runner`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from werkzeug.serving import BaseWSGIServer
from werkzeug.wrappers import Request, Response

from greenpower.config import ConfigError
from greenpower.ingest.http_limits import CrowdedServer, TimedHandler
from greenpower.loops import Loop, ThreadLoop

# How long one request is waited for before the loop says that it goes on.
REQUEST_WAIT_SECONDS = 0.5
STALLED_SECONDS = 10.0

Parts = dict[str, dict[str, Any]]


class Health:
    """What ingest says of itself. parts: asked for by the HTTP thread. heartbeat: a loop on the event loop."""

    def __init__(self, parts: Callable[[], Parts], heartbeat: Loop) -> None:
        self._parts = parts
        self._heartbeat = heartbeat

    def report(self) -> dict[str, Any]:
        """`{"status": "ok" | "failing", "parts": {name: {"ok": bool, ...}}}`. The part `loop` is the event loop."""
        heartbeat = self._heartbeat.health()
        parts = self._parts()
        parts["loop"] = {"ok": heartbeat["ok"], "silent_seconds": heartbeat["seconds_since_advance"]}
        return {"status": "ok" if all(part["ok"] for part in parts.values()) else "failing", "parts": parts}


class HttpServer:
    """Serves from `start` to `close`; `loop` is its thread."""

    def __init__(self, *, host: str, port: int, health: Health, metrics: CollectorRegistry) -> None:
        self.host, self.port = host, port
        self.loop = ThreadLoop("http", self._serve, stalled_after=STALLED_SECONDS)
        self._health = health
        self._metrics = make_wsgi_app(metrics)
        self._server: BaseWSGIServer | None = None

    def start(self) -> None:
        """Listen, and serve in a thread. Raises ConfigError where the port is taken."""
        try:
            self._server = CrowdedServer(self.host, self.port, self._answer, TimedHandler)
        except (OSError, SystemExit):  # werkzeug exits where the port is taken
            raise ConfigError(f"INGEST_HTTP_PORT: {self.host}:{self.port} is taken") from None
        self._server.timeout = REQUEST_WAIT_SECONDS
        self.port = self._server.server_port
        self.loop.start()

    def close(self) -> None:
        """Stop serving. Does nothing where it did not start."""
        server, self._server = self._server, None
        if server is not None:
            self.loop.stop(STALLED_SECONDS)
            server.server_close()

    def _serve(self, loop: ThreadLoop) -> None:
        server = self._server
        while server is not None and not loop.stopping:
            server.handle_request()
            loop.advance()

    def _answer(self, environ: Any, start_response: Any) -> Any:
        path = Request(environ).path.rstrip("/")
        if path == "/metrics":
            return self._metrics(environ, start_response)
        if path == "/health":
            report = self._health.report()
            status = 200 if report["status"] == "ok" else 503
            response = Response(json.dumps(report), status, mimetype="application/json")
        else:
            response = Response('{"status": "not found"}', 404, mimetype="application/json")
        return response(environ, start_response)
