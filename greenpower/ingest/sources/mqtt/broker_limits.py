"""Which limits of a broker break what ingest promises, as far as the broker tells of them.

It tells them in its CONNACK (MQTT 5 only), in its SUBACK and, where it may be read, in $SYS. It does not tell how long
its queues are: docs/broker.md and docker/mosquitto.conf have what it must be set to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from greenpower.config import Settings
from greenpower.ingest.sources.mqtt.connect import NEVER_EXPIRES

DROPPED = "$SYS/broker/publish/messages/dropped"
# What comes before a payload in a PUBLISH: header, topic, packet id, properties.
PUBLISH_OVERHEAD_BYTES = 1024
# A window of 20 frames, mosquitto's default, is 400 frames a second where batches wait 50 ms.
MIN_WINDOW_FRAMES = 1000


def of_connack(connack: Mapping[str, Sequence[Any]], *, is_v5: bool, settings: Settings) -> tuple[str, ...]:
    """What is wrong with a broker by the properties of its CONNACK; empty where nothing is, or nothing is told."""
    found = []

    def said(name: str, default: int) -> int:
        values = connack.get(name)
        return int(values[0]) if values else default

    if not is_v5:
        if settings.mqtt_shared:
            found.append("MQTT_SHARED: the broker speaks MQTT 3.1.1 only, which knows no shared subscriptions")
        return tuple(found)
    if (kept := said("session_expiry_interval", NEVER_EXPIRES)) != NEVER_EXPIRES:
        found.append(f"the broker forgets a session after {kept} s: frames that wait longer for ingest are lost")
    if said("max_qos", 2) < 1:
        found.append(
            "the broker offers QoS 0 only: frames cannot be acknowledged, what comes while ingest is away is lost"
        )
    if settings.mqtt_shared and not said("shared_subscription_available", 1):
        found.append("MQTT_SHARED: the broker has no shared subscriptions")
    if (longest := said("maximum_packet_size", NEVER_EXPIRES)) < settings.max_frame_bytes + PUBLISH_OVERHEAD_BYTES:
        found.append(
            f"the broker takes packets of {longest} bytes at most and cuts off a device that sends a longer one: "
            f"frames up to MAX_FRAME_BYTES ({settings.max_frame_bytes}) do not reach ingest"
        )
    # This is the window for what we send; mosquitto derives both directions from max_inflight_messages.
    if (window := said("receive_maximum", 65_535)) < min(MIN_WINDOW_FRAMES, settings.mqtt_receive_maximum):
        found.append(
            f"the broker lets {window} frames be unacknowledged at once: ingest will be slow, and its queue fill up "
            "(mosquitto: max_inflight_messages)"
        )
    return tuple(found)


def of_suback(topics: Sequence[str], granted: Sequence[int]) -> tuple[str, ...]:
    """What is wrong with a subscription at QoS 1 that was granted."""
    lowered = [topic for topic, qos in zip(topics, granted, strict=False) if qos == 0]
    if not lowered:
        return ()
    return (f"the broker grants QoS 0 only on {', '.join(lowered)}: what comes while ingest is away is lost",)


class Dropped:
    """How many messages the broker says that it dropped, since its start and since we listen.

    It counts those to all its clients. Those to us are among them where our queue is full.
    """

    def __init__(self) -> None:
        self.total: int | None = None
        self._base = 0

    def hear(self, payload: bytes) -> bool:
        """Take what it published on `DROPPED`. Returns whether more were dropped since the last time."""
        try:
            total = int(payload)
        except ValueError:
            return False
        before, self.total = self.total, total
        if before is None or total < before:  # the broker was started again
            self._base = total
            return total > 0 and before is None
        return total > before

    @property
    def warning(self) -> tuple[str, ...]:
        """What is wrong; empty while nothing was dropped since we listen."""
        count = (self.total or 0) - self._base
        return (f"the broker dropped {count} messages since ingest listens: a queue is full",) if count else ()
