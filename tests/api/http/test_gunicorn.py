"""Parts of gunicorn that its documentation does not name and the API needs. An upgrade that changes them fails here.

The server reads what a request and an answer were for its access lines, and an export sets a timeout on the connection.
A deadline for each connection will need a worker that sees a connection before its request is read and can end it.
"""

from __future__ import annotations

import inspect
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from greenpower.stack.port import free_port
from tests.wait import wait_until

# One worker with one thread: a connection that is not ended keeps it from all others. Each event is one line of JSON.
SCRIPT = """
import json, socket, sys, threading
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

def note(**event):
    print(json.dumps(event), flush=True)

class Worker(ThreadWorker):
    def handle(self, conn):
        timer = threading.Timer(1, conn.sock.shutdown, (socket.SHUT_RDWR,))
        timer.start()
        try:
            result = super().handle(conn)
        finally:
            timer.cancel()
        note(event="handle", kept_alive=result is True, closed=result is False)
        return result

    def handle_request(self, req, conn):
        self.now_served = conn.sock
        return super().handle_request(req, conn)

class Log(Logger):
    def access(self, resp, req, environ, request_time):
        note(event="access", status=resp.status, sent=resp.sent, uri=environ["RAW_URI"], s=request_time.total_seconds())

class Application(BaseApplication):
    def load_config(self):
        settings = {"bind": "127.0.0.1:" + sys.argv[1], "worker_class": Worker, "logger_class": Log, "threads": 1}
        for name, value in {**settings, "keepalive": 5, "control_socket_disable": True}.items():
            self.cfg.set(name, value)
        self.cfg.set("post_worker_init", lambda worker: setattr(self, "worker", worker))

    def load(self):
        return self.answer

    def answer(self, environ, start_response):
        note(event="request", same_socket=environ["gunicorn.socket"] is self.worker.now_served)
        start_response("200 OK", [("Content-Length", "4")])
        return [b"done"]

Application().run()
"""
REQUEST = b"GET /a/?b=c HTTP/1.1\r\nHost: here\r\n\r\n"


class Served:
    """The script as a process."""

    def __init__(self, port: int, output: Path) -> None:
        self.port = port
        self.output = output

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was noted so far, of one kind."""
        lines = [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == kind]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def listens(self) -> bool:
        try:
            self.connect().close()
        except ConnectionRefusedError:
            return False
        return True


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    served = Served(free_port(), tmp_path / "output")
    with served.output.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(served.port)], stdout=output)
        try:
            wait_until(served.listens)
            yield served
        finally:
            process.terminate()
            process.wait(60)


def ask(connection: socket.socket) -> bytes:
    connection.sendall(REQUEST)
    data = b""
    while not data.endswith(b"done"):
        part = connection.recv(4096)
        assert part, data
        data += part
    return data


def test_the_worker_and_the_log_see_each_request(served: Served) -> None:
    with served.connect() as connection:
        assert ask(connection).startswith(b"HTTP/1.1 200 ") and ask(connection)
        wait_until(lambda: [event["kept_alive"] for event in served.events("handle")].count(True) == 2)
    assert [event["same_socket"] for event in served.events("request")] == [True, True]
    for event in served.events("access"):
        assert event["status"] == "200 OK" and event["sent"] == 4 and event["uri"] == "/a/?b=c" and event["s"] < 5


def test_a_worker_can_end_a_connection_whose_request_does_not_come(served: Served) -> None:
    with served.connect() as slow:
        slow.sendall(REQUEST[:10])
        assert slow.recv(4096) == b""
    wait_until(lambda: any(event["closed"] for event in served.events("handle")))
    assert served.events("request") == []
    with served.connect() as connection:
        ask(connection)


def test_what_is_overridden_takes_what_it_took() -> None:
    for method, parameters in (
        (ThreadWorker.handle, ["self", "conn"]),
        (ThreadWorker.handle_request, ["self", "req", "conn"]),
        (Logger.setup, ["self", "cfg"]),
        (Logger.access, ["self", "resp", "req", "environ", "request_time"]),
    ):
        assert list(inspect.signature(method).parameters) == parameters
