"""The API's worker: gunicorn's threads, with a loop that does all waiting for clients.

gunicorn's own threads read a request while it comes and write the answer while it is taken, so that as many slow
clients as there are threads stop the API. Here the loop reads whole requests and sends what clients have yet to take; a
thread gets a request when it is whole. Only an answer in pieces (an export) makes its thread wait, and there are few.

What belongs here: what moves a connection from one stage to the next. What does not: when a request is whole
(`request_buffer`), what is yet to be taken (`client_socket`), how long a stage may last (`connection`).
"""

from __future__ import annotations

import errno
import resource
import selectors
import socket
import sys
import time
from concurrent.futures import Future
from functools import partial
from typing import Any

from gunicorn.http.errors import InvalidChunkSize, LimitRequestHeaders
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from greenpower.api.http.connection import ConnectionLimits, HttpConnection, Stage

READ_BYTES = 64 * 1024
# How long a thread may hold the interpreter while others wait for it. A short question waits for it after each answer
# of a database: at Python's 5 ms, one that computes for long would make it ten times as slow.
SWITCH_SECONDS = 0.0005
SWEEP_SECONDS = 0.25
# After its answer a client gets this long to close; what it still sends is read, or it would not see the answer.
LINGER_SECONDS = 2.0
MAX_LINGER_BYTES = 1024 * 1024
# What clients have sent and have yet to take, all together. Above it the largest is given up.
MAX_HELD_BYTES = 128 * 1024 * 1024
# Databases, logs, exports: beside the connections.
OTHER_OPEN_FILES = 200
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
NO_CONNECTION = (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK)


class HttpWorker(ThreadWorker):  # type: ignore[misc]
    """A worker process. Its application has `limits`, the ConnectionLimits. What is no request's thread is the loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limits: ConnectionLimits = self.app.limits
        self._connections: dict[HttpConnection, None] = {}  # in order of arrival
        self._swept = 0.0

    def init_process(self) -> None:
        _raise_open_files(self.worker_connections + OTHER_OPEN_FILES)
        sys.setswitchinterval(SWITCH_SECONDS)
        super().init_process()

    # What gunicorn's loop calls.

    def accept(self, listener: socket.socket) -> None:
        """Take a connection. Where there are too many, the one that has waited longest for its client goes."""
        try:
            raw, address = listener.accept()
        except OSError as error:
            if error.errno in FULL:
                self._make_room()
            elif error.errno not in NO_CONNECTION:
                self.log.warning("a connection could not be accepted: %s", error)
            return
        ends = (address, listener.getsockname())
        connection = HttpConnection(self.cfg, raw, ends, self._limits, self._ask_to_send)
        connection.deadline = time.monotonic() + self._limits.head_seconds
        self.nr_conns += 1
        self._connections[connection] = None
        if len(self._connections) >= self.worker_connections:
            self._make_room()
        self._guard(connection, self._read)

    def handle(self, conn: HttpConnection) -> Any:
        """Serve a request that is whole. In a thread."""
        conn.data_ready = True
        try:
            conn.give_to_parser()
        except Exception as error:
            self.handle_error(None, conn.sock, conn.client, error)
            return False
        if conn.request.head_too_long:
            self.handle_error(None, conn.sock, conn.client, LimitRequestHeaders("the headers are too long"))
            return False
        if conn.request.malformed:
            self.handle_error(None, conn.sock, conn.client, InvalidChunkSize(b"no chunk"))
            return False
        return super().handle(conn)

    def finish_request(self, conn: HttpConnection, fs: Future[Any]) -> None:
        """A thread is done with a request."""
        conn.kept = not fs.cancelled() and fs.exception() is None and fs.result() is True and not conn.request.cut
        if conn.stage is Stage.SERVED:
            conn.stage = Stage.SENDING
            self._guard(conn, self._flush)

    def murder_pending(self) -> None:
        """Give up connections whose time is over."""
        now = time.monotonic()
        if now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        held = 0
        for connection in list(self._connections):
            if 0 < connection.deadline <= now or connection.is_too_slow(now):
                self._drop(connection)
            else:
                held += connection.held_bytes
        while held > MAX_HELD_BYTES:
            largest = max(self._connections, key=lambda connection: connection.held_bytes)
            held -= largest.held_bytes
            self._drop(largest)

    def murder_keepalived(self, force: bool = False) -> None:
        """At the end of a graceful stop: give up all that is left."""
        for connection in list(self._connections) if force else ():
            self._drop(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """A stop has begun: those who have asked nothing are not waited for as long as otherwise."""
        for connection in self._connections:
            if connection.stage in (Stage.IDLE, Stage.HEAD) and not len(connection.request):
                connection.deadline = min(connection.deadline, deadline)

    # What a connection goes through.

    def _guard(self, connection: HttpConnection, step: Any) -> None:
        """Take a step; where it fails, the connection is dropped and no other."""
        if connection.stage is Stage.CLOSED:
            return
        try:
            step(connection)
        except OSError:
            self._drop(connection)
        except Exception:
            self.log.exception("a connection is dropped")
            self._drop(connection)

    def _watch(self, connection: HttpConnection, event: int) -> None:
        """Wait for an event of its socket, 0 for none."""
        if connection.watched == event:
            return
        if not event:
            self.poller.unregister(connection.raw)
        elif connection.watched:
            self.poller.modify(connection.raw, event, partial(self._on_event, connection))
        else:
            self.poller.register(connection.raw, event, partial(self._on_event, connection))
        connection.watched = event

    def _on_event(self, connection: HttpConnection, _raw: object) -> None:
        if connection.watched == selectors.EVENT_WRITE:
            self._guard(connection, self._flush)
        else:
            self._guard(connection, self._drain if connection.stage is Stage.LINGERING else self._read)

    def _read(self, connection: HttpConnection) -> None:
        """Read what came of a request."""
        try:
            data = connection.raw.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            self._watch(connection, selectors.EVENT_READ)
            return
        if not data:
            self._drop(connection)
            return
        connection.request.feed(data)
        self._go_on(connection)

    def _go_on(self, connection: HttpConnection) -> None:
        """Serve a request if it is whole, else wait for more of it."""
        request = connection.request
        if request.whole:
            self._watch(connection, 0)
            connection.stage, connection.deadline = Stage.SERVED, 0.0
            self.enqueue_req(connection)
            return
        if request.in_body:
            if connection.stage is not Stage.BODY:
                connection.stage = Stage.BODY
                connection.deadline = time.monotonic() + self._limits.body_seconds
                if request.expects:
                    connection.raw.send(CONTINUE)
        elif len(request) and connection.stage is Stage.IDLE:
            connection.stage = Stage.HEAD
            connection.deadline = time.monotonic() + self._limits.head_seconds
        self._watch(connection, selectors.EVENT_READ)

    def _ask_to_send(self, connection: HttpConnection) -> None:
        """There is something to send. In a thread."""
        self.method_queue.defer(self._guard, connection, self._flush)

    def _flush(self, connection: HttpConnection) -> None:
        """Send what a client has yet to take; when all is sent and the request is done, go on."""
        if not connection.sock.flush():
            self._watch(connection, selectors.EVENT_WRITE)
        elif connection.stage is Stage.SERVED:
            self._watch(connection, 0)
        elif connection.stage is not Stage.SENDING:
            return
        elif connection.kept:
            self._begin_next(connection)
        else:
            connection.raw.shutdown(socket.SHUT_WR)
            connection.stage = Stage.LINGERING
            connection.deadline = time.monotonic() + LINGER_SECONDS
            self._watch(connection, selectors.EVENT_READ)

    def _begin_next(self, connection: HttpConnection) -> None:
        connection.next_request()
        connection.stage = Stage.IDLE
        seconds = self.cfg.keepalive if self.alive else min(self.cfg.keepalive, STOP_KEEPALIVE_LINGER)
        connection.deadline = time.monotonic() + seconds
        self._go_on(connection)

    def _drain(self, connection: HttpConnection) -> None:
        """Read away what a client sends that had its last answer."""
        try:
            data = connection.raw.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        connection.drained += len(data)
        if not data or connection.drained > MAX_LINGER_BYTES:
            self._drop(connection)

    def _drop(self, connection: HttpConnection) -> None:
        """Close a connection. May be called again."""
        if connection.stage is Stage.CLOSED:
            return
        connection.stage = Stage.CLOSED
        self._watch(connection, 0)
        connection.sock.give_up()
        del self._connections[connection]
        self.nr_conns -= 1

    def _make_room(self) -> None:
        """Drop the connection that is the least loss: the earliest stage, of these the oldest."""
        waiting = (one for one in self._connections if one.stage is not Stage.SERVED)
        if (least := min(waiting, key=lambda one: one.stage.value, default=None)) is not None:
            self._drop(least)


def _raise_open_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
