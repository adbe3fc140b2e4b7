"""The API's server: gunicorn with threads, run from Python. What belongs here: its settings and its log lines."""

from __future__ import annotations

import gc
import logging
import re
from datetime import timedelta
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from greenpower.api.http.auth import CALLER_KEY
from greenpower.api.http.connection import ConnectionLimits
from greenpower.api.http.large_body import BodyAllowance
from greenpower.api.http.request_buffer import MAX_LINE_BYTES
from greenpower.api.http.request_metrics import request_counts
from greenpower.api.http.server_errors import use_error_shape
from greenpower.api.http.worker import HttpWorker
from greenpower.config import Settings

THREADS_PER_WORKER = 16
# A device that can set no header has its key in the address.
KEY_IN_ADDRESS = re.compile(r"([?&]key=)[^&\s]*", re.IGNORECASE)
# After SIGTERM, requests that have begun get this long. A supervisor kills the process after 10 s.
GRACEFUL_STOP_SECONDS = 7
GUNICORN_SETTINGS: dict[str, Any] = {
    "worker_class": HttpWorker,
    "threads": THREADS_PER_WORKER,
    "timeout": 30,
    "graceful_timeout": GRACEFUL_STOP_SECONDS,
    "keepalive": 5,
    "accesslog": "-",
    "limit_request_line": MAX_LINE_BYTES,
    # A file goes through the worker's loop as all answers do: the call that sends it would wait for the client.
    "sendfile": False,
    "control_socket_disable": True,
    "proc_name": "greenpower-api",
}


def leave_out_application(arbiter: Any) -> None:
    """Leave what there is now, the application, out of what Python's collector goes through. It stays for ever, and
    would be a third of a large answer's time. Before workers are forked: a page that one of them touches is its own."""
    gc.collect()
    gc.freeze()


class OneLog(Logger):  # type: ignore[misc]
    """gunicorn's messages in the log of the process: the same format, on stderr."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """One line per request: from where, who (`-` without a token), what, and the answer. gunicorn's own collects
        twenty values first."""
        if self.access_log.isEnabledFor(logging.INFO):
            line = " ".join(environ.get(name) or "-" for name in ("REQUEST_METHOD", "RAW_URI", "SERVER_PROTOCOL"))
            caller = environ.get(CALLER_KEY)
            self.access_log.info(
                '%s %s "%s" %s %s bytes %d ms',
                environ.get("REMOTE_ADDR") or "-",
                caller or "-",
                KEY_IN_ADDRESS.sub(r"\1***", line).replace('"', '\\"'),
                str(resp.status).partition(" ")[0],
                getattr(resp, "sent", None) or "-",
                request_time / timedelta(milliseconds=1),
                extra={"fields": {"caller": caller} if caller else {}},
            )


class Server(BaseApplication):  # type: ignore[misc]
    """Serves one app from several processes. The app is made before they are forked and connects after."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self.limits = ConnectionLimits(
            head_seconds=settings.api_head_seconds,
            body_seconds=settings.api_body_seconds,
            answer_seconds=settings.api_answer_seconds,
            answer_rate=settings.api_answer_rate,
            max_body=app.config["MAX_CONTENT_LENGTH"],
            allowance=BodyAllowance(app.config["MAX_CONTENT_LENGTH"], settings.jwt_signing_key.get_secret_value()),
        )
        super().__init__()

    def load_config(self) -> None:
        use_error_shape()
        for name, value in GUNICORN_SETTINGS.items():
            self.cfg.set(name, value)
        host = self._settings.api_host
        self.cfg.set(
            "bind", f"[{host}]:{self._settings.api_port}" if ":" in host else f"{host}:{self._settings.api_port}"
        )
        self.cfg.set("workers", self._settings.api_workers)
        self.cfg.set("logger_class", OneLog)
        counts = request_counts(self._app)
        self.cfg.set("pre_fork", counts.before_fork)
        self.cfg.set("child_exit", counts.after_exit)
        self.cfg.set("when_ready", leave_out_application)

    def load(self) -> Flask:
        return self._app
