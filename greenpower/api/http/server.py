"""The API's server: gunicorn with threads, run from Python. What belongs here: its settings and its log lines."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from greenpower.config import Settings

THREADS_PER_WORKER = 8
# After SIGTERM, requests that have begun get this long. A supervisor kills the process after 10 s.
GRACEFUL_STOP_SECONDS = 7
GUNICORN_SETTINGS: dict[str, Any] = {
    "worker_class": "gthread",
    "threads": THREADS_PER_WORKER,
    "timeout": 30,
    "graceful_timeout": GRACEFUL_STOP_SECONDS,
    "keepalive": 5,
    "accesslog": "-",
    "limit_request_line": 8190,
    "control_socket_disable": True,
    "proc_name": "greenpower-api",
}


class OneLog(Logger):  # type: ignore[misc]
    """gunicorn's messages in the log of the process: the same format, on stderr."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """One line per request: who asked for what, and the answer. gunicorn's own collects twenty values first."""
        if self.access_log.isEnabledFor(logging.INFO):
            line = " ".join(environ.get(name) or "-" for name in ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL"))
            self.access_log.info(
                '%s "%s" %s %s bytes %d ms',
                environ.get("REMOTE_ADDR") or "-",
                line.replace('"', '\\"'),
                str(resp.status).partition(" ")[0],
                getattr(resp, "sent", None) or "-",
                request_time / timedelta(milliseconds=1),
            )


class Server(BaseApplication):  # type: ignore[misc]
    """Serves one app from several processes. The app is made before they are forked and connects after."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in GUNICORN_SETTINGS.items():
            self.cfg.set(name, value)
        host = self._settings.api_host
        self.cfg.set(
            "bind", f"[{host}]:{self._settings.api_port}" if ":" in host else f"{host}:{self._settings.api_port}"
        )
        self.cfg.set("workers", self._settings.api_workers)
        self.cfg.set("logger_class", OneLog)

    def load(self) -> Flask:
        return self._app
