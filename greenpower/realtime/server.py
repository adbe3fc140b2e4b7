"""The gateway's server: eventlet, one process, many connections. Call `serve` in a process that is monkey-patched."""

from __future__ import annotations

import logging
import resource
import signal
import socket

import eventlet
import eventlet.patcher
import eventlet.wsgi

from greenpower.catalog.registry import Registry
from greenpower.config import ConfigError, Settings
from greenpower.loops import PulseCounter, Watchdog
from greenpower.realtime.gateway import RealtimeGateway
from greenpower.realtime.protocol import GatewayLimits, timed

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 10_000
# Of these, those that have not sent a whole request; of more the oldest is closed.
MAX_WAITING_CONNECTIONS = 2_000
LISTEN_BACKLOG = 1024
# What the system may buffer for a client that does not read: small, so that it does not read old values later.
SEND_BUFFER_BYTES = 128 * 1024
POLL_SECONDS = 0.1
STOP_SECONDS = 1.0


def serve(settings: Settings, registry: Registry) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError if the port cannot be used."""
    rounds = PulseCounter()
    # A thread of the system: greenlets do not run while another one hangs.
    threads = eventlet.patcher.original("threading")
    with Watchdog("realtime", settings.watchdog_seconds, lambda: rounds.count, threads):
        _serve(settings, registry, rounds)


def _serve(settings: Settings, registry: Registry, rounds: PulseCounter) -> None:
    stopping = False

    def on_signal(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    _raise_open_files()
    gateway = RealtimeGateway(settings, registry)
    gateway.loops.start()
    # First read all that Redis holds: the snapshot of the first client must be complete.
    while not gateway.feed.health()["ok"] and not stopping:
        rounds.advance()
        eventlet.sleep(POLL_SECONDS)
    if stopping:
        gateway.loops.stop(STOP_SECONDS)
        return
    listener = _listen(settings.api_host, settings.realtime_port)
    log.info("listening on %s:%d", settings.api_host, settings.realtime_port)
    pool = eventlet.GreenPool(MAX_CONNECTIONS)
    limits = GatewayLimits(
        head_seconds=settings.api_head_seconds,
        body_seconds=settings.api_body_seconds,
        max_waiting=MAX_WAITING_CONNECTIONS,
    )
    server = eventlet.spawn(
        eventlet.wsgi.server,
        listener,
        gateway.app,
        custom_pool=pool,
        protocol=timed(limits),
        log=logging.getLogger("eventlet.wsgi"),
        log_output=False,
        debug=False,
    )
    while not stopping and not server.dead:
        rounds.advance()
        eventlet.sleep(POLL_SECONDS)
    # Clients notice that the connection is closed and connect again; nothing has to be saved here.
    if server.dead and not stopping:
        server.wait()  # raises what it died of
    server.kill()
    listener.close()
    gateway.loops.stop(STOP_SECONDS)
    log.info("stopped")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener: socket.socket = eventlet.listen((host, port), family, backlog=LISTEN_BACKLOG, reuse_port=False)
    except OSError as error:
        raise ConfigError(f"REALTIME_PORT {port} cannot be used on {host} ({error.strerror})") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # inherited by connections
    return listener


def _raise_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + 100 if hard == resource.RLIM_INFINITY else min(MAX_CONNECTIONS + 100, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
