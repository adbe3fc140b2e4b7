"""Topic filters of a session: the plain ones, or those of the group of which several ingest processes are members.

A session keeps every filter that it was ever subscribed to. Where it changes from plain to shared, or back, it must be
unsubscribed from the other form: else it gets frames twice, or takes them from the other members.
"""

from __future__ import annotations

from collections.abc import Iterable

from greenpower.ingest.sources.mqtt.gmqtt_client import Subscription

GROUP = "$share/greenpower/"
DO_NOT_SEND_RETAINED = 2
ALWAYS_SEND_RETAINED = 0


def filters(topics: Iterable[str], *, shared: bool) -> tuple[str, ...]:
    """The filters for topics, as a member of the group or alone."""
    return tuple(GROUP + topic for topic in topics) if shared else tuple(topics)


def subscriptions(wanted: Iterable[str], *, is_v5: bool) -> list[Subscription]:
    """QoS 1; what the broker retains is not sent again at each subscribing (3.1.1 has no option for that)."""
    retained = DO_NOT_SEND_RETAINED if is_v5 else ALWAYS_SEND_RETAINED
    return [Subscription(topic, qos=1, retain_handling_options=retained) for topic in wanted]


def encoded(unwanted: Iterable[str]) -> list[bytes]:
    """Filters for gmqtt to unsubscribe: of text it counts characters where the packet needs bytes."""
    return [topic.encode() for topic in unwanted]
