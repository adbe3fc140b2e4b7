"""The API's server: gunicorn with threads, run from Python. What belongs here: its settings and its log lines."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from greenpower.config import Settings

THREADS = 8
# The answers under way when SIGTERM comes get this long; whoever runs us waits 10 s.
GRACE = 7
OPTIONS: dict[str, Any] = {
    "worker_class": "gthread",
    "threads": THREADS,
    "timeout": 30,
    "graceful_timeout": GRACE,
    "keepalive": 5,
    "accesslog": "-",
    "access_log_format": '%(h)s "%(r)s" %(s)s %(b)s bytes %(M)s ms',
    "limit_request_line": 8190,
    "control_socket_disable": True,
    "proc_name": "greenpower-api",
}


class OneLog(Logger):  # type: ignore[misc]
    """gunicorn's messages among the process's own, in the same format, on stderr."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)


class Server(BaseApplication):  # type: ignore[misc]
    """Serves one app from several processes. The app is made before they are forked and connects after."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in OPTIONS.items():
            self.cfg.set(name, value)
        host = self._settings.api_host
        self.cfg.set(
            "bind", f"[{host}]:{self._settings.api_port}" if ":" in host else f"{host}:{self._settings.api_port}"
        )
        self.cfg.set("workers", self._settings.api_workers)
        self.cfg.set("logger_class", OneLog)

    def load(self) -> Flask:
        return self._app
