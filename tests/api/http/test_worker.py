"""The API's worker with an app of its own: what slow and wordy clients get, and what others see meanwhile."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from greenpower.stack.port import free_port
from tests.hostile.crowd import Crowd
from tests.hostile.others import Others
from tests.wait import wait_until

HEAD_SECONDS, BODY_SECONDS, ANSWER_SECONDS = 1.0, 1.5, 1.0
LINE_COUNT = 40_000
# One worker process.
SCRIPT = f"""
import sys
from flask import Flask, Response, request, send_file
from greenpower.api.http.request_metrics import init_request_metrics
from greenpower.api.http.server import Server
from greenpower.config import Settings

app = Flask("probe")
app.config["MAX_CONTENT_LENGTH"] = 64 * 1024
ended = []

@app.get("/ok/")
def ok():
    return "ok"

@app.post("/echo/")
def echo():
    return request.get_data()

@app.post("/ignore/")
def ignore():
    return "ignored"

@app.get("/whole/")
def whole():
    return b"x" * 20_000_000

@app.get("/pieces/")
def pieces():
    def make():
        try:
            for number in range({LINE_COUNT}):
                yield b"%06d" % number * 100 + b"\\n"
        finally:
            ended.append(1)
    return Response(make())

@app.get("/ended/")
def count():
    return str(len(ended))

@app.get("/file/")
def file():
    return send_file(__import__("os").path.abspath(sys.argv[2]))

init_request_metrics(app, 1)
settings = Settings(
    _env_file=None, api_port=int(sys.argv[1]), api_workers=1, api_head_seconds={HEAD_SECONDS},
    api_body_seconds={BODY_SECONDS}, api_answer_seconds={ANSWER_SECONDS}, api_answer_rate=1000,
)
Server(app, settings).run()
"""
POST = b"POST /echo/ HTTP/1.1\r\nHost: x\r\n"
HALVES = {
    "silent": (b"", b""),
    "headers": (b"GET /ok/ HTTP/1.1\r\nHost: x\r\n", b"X-A: b\r\n"),
    "body": (POST + b"Content-Length: 600\r\n\r\n", b"a"),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("worker")
    (folder / "file.txt").write_bytes(b"0123456789" * 100_000)
    port = free_port()
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", SCRIPT, str(port), str(folder / "file.txt")]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: _listens(port, process, folder / "log"), 30)
            yield port
        finally:
            process.terminate()
            process.wait(60)
    assert "Traceback" not in (folder / "log").read_text()


def _listens(port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def base(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def say(port: int, *parts: bytes) -> bytes:
    """Send parts one after the other, and return all that comes until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        found = b""
        while data := connection.recv(65536):
            found += data
        return found


@pytest.mark.parametrize("name", HALVES)
def test_half_a_request_holds_no_thread_and_is_ended(port: int, name: str) -> None:
    first, drip = HALVES[name]
    with Others(base(port), "/ok/") as others, Crowd(port, 24, first=first, drip=drip, pause=0.2) as crowd:
        wait_until(lambda: not crowd.open, 8)
        others.check()


def test_an_answer_that_is_not_taken_holds_no_thread_and_is_ended(port: int) -> None:
    ask = b"GET /whole/ HTTP/1.1\r\nHost: x\r\n\r\n"
    # A byte that is sent later finds the connection closed: who reads nothing does not see it otherwise.
    readers = Crowd(port, 6, first=ask, drip=b"X", pause=0.3, reads=False, receive_buffer=4096)
    with Others(base(port), "/ok/") as others, readers:
        wait_until(lambda: not readers.open, 20)
        others.check()


def test_pieces_that_are_not_taken_are_not_made(port: int) -> None:
    before = int(httpx.get(base(port) + "/ended/", timeout=60).text)
    ask = b"GET /pieces/ HTTP/1.1\r\nHost: x\r\n\r\n"
    with Others(base(port), "/ok/") as others, Crowd(port, 3, first=ask, reads=False, receive_buffer=4096):
        wait_until(lambda: int(httpx.get(base(port) + "/ended/", timeout=60).text) == before + 3, 20)
        others.check()


def test_pieces_and_files_that_are_taken_come_whole(port: int) -> None:
    with httpx.Client(base_url=base(port), timeout=30) as client:
        for _ in range(2):
            lines = client.get("/pieces/").text.splitlines()
            assert len(lines) == LINE_COUNT and lines[-1].endswith(f"{LINE_COUNT - 1:06d}")
            assert client.get("/file/").content == b"0123456789" * 100_000
            assert len(client.get("/whole/").content) == 20_000_000
        assert client.get("/file/", headers={"Range": "bytes=10-19"}).content == b"0123456789"


def test_a_slow_reader_who_reads_is_served(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=60)) as connection:
        connection.sendall(b"GET /whole/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        found = 0
        while data := connection.recv(1 << 18):
            found += len(data)
        assert found > 20_000_000


@pytest.mark.parametrize("cut", [1, 30, 60, 100])
def test_a_body_may_come_in_pieces(port: int, cut: int) -> None:
    for head, body in (
        (b"Content-Length: 26\r\n", b"abcdefghijklmnopqrstuvwxyz"),
        (b"Transfer-Encoding: chunked\r\n", b"1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n"),
    ):
        whole = POST + head + b"Connection: close\r\n\r\n" + body
        answer = say(port, whole[:cut], whole[cut:])
        assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nabcdefghijklmnopqrstuvwxyz")


def test_who_waits_to_send_a_body_is_told_once(port: int) -> None:
    head = POST + b"Content-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head)
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"abc")
        rest = b""
        while data := connection.recv(4096):
            rest += data
    assert rest.startswith(b"HTTP/1.1 200 ") and rest.endswith(b"abc") and rest.count(b"HTTP/1.1") == 1


def test_requests_may_follow_each_other_on_a_connection(port: int) -> None:
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        ask = b"POST /ignore/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
        last = ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        # Two whole ones and the half of a third in one packet.
        connection.sendall(ask + ask + last[:20])
        found = b""
        while found.count(b"ignored") < 2:
            found += connection.recv(4096)
        connection.sendall(last[20:])
        while data := connection.recv(4096):
            found += data
        assert found.count(b"HTTP/1.1 200") == found.count(b"ignored") == 3


@pytest.mark.parametrize(
    ("status", "request_bytes"),
    [
        (413, POST + b"Content-Length: 70000\r\n\r\n" + b"a" * 70_000),
        (413, POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"a" * 4096 + b"\r\n"
         + (b"1000\r\n" + b"a" * 4096 + b"\r\n") * 80),
        (431, b"GET /ok/ HTTP/1.1\r\nHost: x\r\n" + b"X-A: b\r\n" * 5_000),
        (431, b"GET /ok/ HTTP/1.1\r\nHost: x\r\nX-A: " + b"b" * 9_000 + b"\r\n\r\n"),
        (414, b"GET /" + b"a" * 9_000),
        (400, POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
        (400, POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef"),
        (400, POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (400, b"G@T nonsense\r\n\r\n"),
    ],
    ids=["body", "chunks", "headers", "header", "line", "bad chunks", "two lengths", "two framings", "no request"],
)  # fmt: skip
def test_what_is_too_much_or_malformed_is_refused_and_the_connection_ended(
    port: int, status: int, request_bytes: bytes
) -> None:
    assert say(port, request_bytes).startswith(b"HTTP/1.1 %d " % status)


def test_what_is_no_http_is_ended_at_once(port: int) -> None:
    assert say(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") == b""
