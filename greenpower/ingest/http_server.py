"""Ingest's own HTTP port: /health and /metrics, in a thread beside the event loop."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, make_wsgi_app
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

from greenpower.config import ConfigError

# The event loop notes its time each second; older than this, it hangs.
LONGEST_SILENCE = 10.0


class Health:
    """What ingest says of itself. Written on the event loop, read by the HTTP thread."""

    def __init__(self, parts: Callable[[], dict[str, dict[str, Any]]]) -> None:
        self._parts = parts
        self.beat = time.monotonic()

    def report(self) -> dict[str, Any]:
        """`{"status": "ok" | "failing", "parts": {name: {"ok": bool, ...}}}`."""
        parts = self._parts()
        silence = time.monotonic() - self.beat
        parts["loop"] = {"ok": silence < LONGEST_SILENCE, "silent_seconds": round(silence, 1)}
        return {"status": "ok" if all(part["ok"] for part in parts.values()) else "failing", "parts": parts}


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Health checks come every few seconds: not worth a line."""


class HttpServer:
    """Serves until closed."""

    def __init__(self, host: str, port: int, health: Health, registry: CollectorRegistry) -> None:
        """Raises ConfigError where the port is taken."""
        metrics = make_wsgi_app(registry)

        def application(environ: Any, start_response: Any) -> Any:
            request = Request(environ)
            if request.path.rstrip("/") == "/metrics":
                return metrics(environ, start_response)
            if request.path.rstrip("/") == "/health":
                report = health.report()
                response = Response(
                    json.dumps(report), 200 if report["status"] == "ok" else 503, mimetype="application/json"
                )
            else:
                response = Response('{"status": "not found"}', 404, mimetype="application/json")
            return response(environ, start_response)

        try:
            self._server = make_server(host, port, application, threaded=True, request_handler=_QuietHandler)
        except (OSError, SystemExit):  # werkzeug exits where the port is taken
            raise ConfigError(f"INGEST_HTTP_PORT: {host}:{port} is taken") from None
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
