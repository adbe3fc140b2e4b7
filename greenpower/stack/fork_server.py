"""A process that has imported the program once and is forked for each service: less memory, and a quicker start.

The pages of what is imported are shared by all that are forked from it. The children become those of the supervisor, as
if it had started them itself, so the fork server may end at any time: nothing ends with it.

    supervisor ── request (arguments, environment; fds of output and reply) ──> fork server
        │                                                                          │ fork
        │                                                                     between, ends at once
        │ becomes the parent: it is their subreaper                                │ fork
        └──────────────── reply: the process id ────────────────────────────── the service

What belongs here: both ends of it. What does not: what is imported and run (`greenpower.cli.preloaded`). Linux only.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from setproctitle import getproctitle, setproctitle

from greenpower.stack.spawn import become_subreaper, die_with, die_with_parent

MAX_REQUEST_BYTES = 1 << 20
REPLY_SECONDS = 60.0
ADOPTED_SECONDS = 10.0
FDS = 2
ENDED = "the process that is forked for each service has ended"
IS_SUPPORTED = sys.platform == "linux" and hasattr(os, "pidfd_open")


class ForkServer:
    """The supervisor's end: of the process that becomes the parent of what is forked."""

    def __init__(self, command: Sequence[str]) -> None:
        """command: runs `serve` with the file descriptor that is its last argument."""
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Start it; it imports while others go on. Once, from the main thread (see `die_with_parent`). Raises
        OSError."""
        become_subreaper()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [*self._command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                preexec_fn=die_with_parent(),
            )
        self._socket = ours

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        """Whether there is anything to be forked."""
        return self._process is not None and self._process.poll() is None

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], output: int) -> int:
        """Run a command in a process of its own, with this output; its process id. Waits until what it needs is
        imported, so call it in a thread, after `start`. Raises OSError."""
        if self._socket is None:
            raise OSError(ENDED)
        reading, writing = os.pipe()
        try:
            request = json.dumps({"arguments": list(arguments), "variables": dict(environment)}).encode()
            if len(request) > MAX_REQUEST_BYTES:
                raise OSError(f"{len(request)} bytes of arguments and environment are too many")
            socket.send_fds(self._socket, [request], [output, writing])
            os.close(writing)
            writing = -1
            return self._reply(reading)
        finally:
            os.close(reading)
            if writing != -1:
                os.close(writing)

    def stop(self) -> None:
        """End it. What was forked goes on."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @staticmethod
    def _reply(reading: int) -> int:
        if not select.select([reading], [], [], REPLY_SECONDS)[0]:
            raise OSError(f"no process was forked within {REPLY_SECONDS:g} s")
        answer = os.read(reading, 64)
        if not answer:
            raise OSError(ENDED)
        return int(answer)


def serve(fd: int) -> list[str]:
    """Wait for requests. Returns in each process that is forked: what it has to run. Ends when the supervisor does."""
    getproctitle()  # where titles are is found beside the environment, which changes later
    gc.collect()
    gc.freeze()  # so that looking for cycles touches no page that is shared
    with socket.socket(fileno=fd) as server:
        supervisor = os.getppid()
        while True:
            request, fds, _, _ = socket.recv_fds(server, MAX_REQUEST_BYTES, FDS)
            if not request:
                os._exit(0)
            between = os.fork()
            if between:
                os.waitpid(between, 0)
                for received in fds:
                    os.close(received)
                continue
            service = os.fork()
            if service:
                os._exit(0)
            server.detach()
            os.close(fd)
            return _begin(json.loads(request), *fds, supervisor=supervisor)


def _begin(request: dict[str, object], output: int, reply: int, *, supervisor: int) -> list[str]:
    """Become a service: a session, an output and an environment of its own, and the supervisor as its parent."""
    os.setsid()
    end = time.monotonic() + ADOPTED_SECONDS
    while os.getppid() != supervisor:
        if time.monotonic() > end:
            os._exit(1)
        time.sleep(0.001)
    die_with(supervisor)
    for fd in (1, 2):
        os.dup2(output, fd)
    os.close(output)
    variables, arguments = request["variables"], request["arguments"]
    assert isinstance(variables, dict) and isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    setproctitle(" ".join(("greenpower", *arguments)))
    os.write(reply, str(os.getpid()).encode())
    os.close(reply)
    return arguments
