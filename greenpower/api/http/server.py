"""The API's server: gunicorn with threads, run from Python. What belongs here: its settings, its log lines and how its
threads stay with a connection."""

from __future__ import annotations

import logging
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from greenpower.collector import calm_collector
from greenpower.config import Settings

THREADS = 8
# The answers under way when SIGTERM comes get this long; whoever runs us waits 10 s.
GRACE = 7
# A caller that asks again at once does so sooner than this.
STAY_MS = 2
OPTIONS: dict[str, Any] = {
    "threads": THREADS,
    "timeout": 30,
    "graceful_timeout": GRACE,
    "keepalive": 5,
    "accesslog": "-",
    "limit_request_line": 8190,
    "control_socket_disable": True,
    "proc_name": "greenpower-api",
}
# Objects made between two looks for garbage: an answer of 50 rows makes some thousand, hardly any of them in a ring.
GARBAGE = 10_000, 10, 10


class OneLog(Logger):  # type: ignore[misc]
    """gunicorn's messages among the process's own, in the same format, on stderr."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for logger in (self.error_log, self.access_log):
            logger.handlers.clear()
            logger.propagate = True
            logger.setLevel(logging.NOTSET)

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        """A line for a request: who asked for what, and what he got. gunicorn's own collects twenty values first."""
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


class StayingWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threads, which stay with a connection for a moment after an answer. Each time that it goes back to the
    loop that watches all of them costs two changes of thread; with others waiting for a thread it goes back at once."""

    def handle(self, conn: Any) -> Any:
        result = super().handle(conn)
        while result is True and self.alive and self.tpool._work_queue.empty() and _asks_again(conn):
            result = super().handle(conn)
        return result

    def handle_request(self, req: Any, conn: Any) -> Any:
        with _in_one_piece(conn.sock):
            return super().handle_request(req, conn)


@contextmanager
def _in_one_piece(sock: socket.socket) -> Iterator[None]:
    """Within it, the kernel holds back what does not fill a packet, 200 ms at most: gunicorn writes the head of an
    answer and its body apart, and each would wake the caller."""
    if sock.family == socket.AF_UNIX or not hasattr(socket, "TCP_CORK"):
        yield
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
    try:
        yield
    finally:
        with suppress(OSError):  # closed meanwhile
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


def _asks_again(conn: Any) -> bool:
    """Whether a connection's next request comes, or its end does, in a moment."""
    if conn.parser.unreader.buf.getvalue():
        return True  # read ahead already
    poll = select.poll()
    poll.register(conn.sock, select.POLLIN)
    return bool(poll.poll(STAY_MS))


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
        self.cfg.set("worker_class", StayingWorker)
        self.cfg.set("logger_class", OneLog)
        self.cfg.set("post_worker_init", lambda worker: calm_collector(*GARBAGE))

    def load(self) -> Flask:
        return self._app
