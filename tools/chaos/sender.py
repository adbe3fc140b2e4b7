"""A device's side of MQTT: what the broker took of what was published, told by its acknowledgements."""

from __future__ import annotations

from collections import deque
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

MOST_OUTSTANDING = 4_000


class Sender:
    """A client that connects again by itself and sends again what was not acknowledged. Use from one thread."""

    def __init__(self, port: int, client_id: str) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
        self.client.max_queued_messages_set(0)
        self.client.max_inflight_messages_set(1000)
        self.client.reconnect_delay_set(1, 2)
        self.client.on_publish = self._on_publish
        self.client.on_connect = self._on_connect
        self.connections = 0
        self._waiting: dict[int, Any] = {}
        self._acked: deque[int] = deque()
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()

    @property
    def outstanding(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= MOST_OUTSTANDING

    def send(self, topic: str, body: str, key: Any) -> None:
        """Publish with QoS 1. key: given back by `acked`."""
        self._waiting[self.client.publish(topic, body, qos=1).mid] = key

    def send_loosely(self, topic: str, body: str) -> None:
        """Publish with QoS 0; what becomes of it nobody says."""
        self.client.publish(topic, body, qos=0)

    def acked(self) -> list[Any]:
        """The keys of what was acknowledged since the last call."""
        found = []
        while self._acked:
            mid = self._acked.popleft()
            if mid in self._waiting:  # QoS 0 ends here too
                found.append(self._waiting.pop(mid))
        return found

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_publish(self, client: paho.Client, data: Any, mid: int, *_: Any) -> None:
        # Called with a lock held that `publish` needs too: only put it down.
        self._acked.append(mid)

    def _on_connect(self, *_: Any) -> None:
        self.connections += 1
