"""Floor of the live bench: bare python-socketio on eventlet. Sends the same readings to the same clients from memory.

No Redis, no MQTT, no tokens, no filter; each batch goes with `emit` into the room of all and, reading by reading, into
the rooms of devices. Imports nothing of greenpower.
"""

from __future__ import annotations

import eventlet

eventlet.monkey_patch()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import eventlet.wsgi  # noqa: E402
import socketio  # noqa: E402

NAMESPACE = "/telemetry"
BATCHES = 20


def make_server() -> Any:
    """A server that lets in everybody."""
    server = socketio.Server(async_mode="eventlet", cors_allowed_origins="*")

    def subscribe(sid: str, data: dict[str, str]) -> None:
        server.enter_room(sid, data["device_id"], namespace=NAMESPACE)
        server.emit("snapshot", {}, to=sid, namespace=NAMESPACE)

    server.on("connect", lambda sid, environ, auth=None: None, namespace=NAMESPACE)
    server.on("subscribe", subscribe, namespace=NAMESPACE)
    return server


def feed(server: Any, devices: list[str], payload: dict[str, float], field: str) -> None:
    """Every device once a second, in batches."""
    due = time.time()
    while True:
        for number in range(BATCHES):
            due += 1 / BATCHES
            eventlet.sleep(max(0.0, due - time.time()))
            now = time.time()
            batch = [
                {
                    "type": "rt",
                    "device_id": device,
                    "timestamp": "2026-01-26T12:00:00.000Z",
                    "received_at": "2026-01-26T12:00:00.000Z",
                    "payload": {**payload, field: now},
                }
                for device in devices[number::BATCHES]
            ]
            server.emit("reading", batch, to="*", namespace=NAMESPACE)
            for reading in batch:
                server.emit("reading", [reading], to=reading["device_id"], namespace=NAMESPACE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--devices", required=True)
    parser.add_argument("--payload", required=True, help="JSON")
    parser.add_argument("--field", required=True)
    given = parser.parse_args()
    assert not any(name.startswith("greenpower") for name in sys.modules)
    server = make_server()
    eventlet.spawn(feed, server, given.devices.split(","), json.loads(given.payload), given.field)
    eventlet.wsgi.server(
        eventlet.listen(("127.0.0.1", given.port)),
        socketio.WSGIApp(server),
        custom_pool=eventlet.GreenPool(5_000),
        log_output=False,
    )


if __name__ == "__main__":
    main()
