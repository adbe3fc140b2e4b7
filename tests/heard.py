"""What Redis tells: subscribing so that nothing after it is missed, and the next message, however long it takes."""

from __future__ import annotations

from typing import Any

from redis.client import PubSub

from tests.wait import wait_until

LOOK_SECONDS = 0.1


def listen(pubsub: PubSub, *channels: str) -> None:
    """Subscribe, and wait until Redis has confirmed each: what is published from now on is heard. pubsub: one that
    shows confirmations."""
    pubsub.subscribe(*channels)
    for _ in channels:
        next_heard(pubsub)


def next_heard(pubsub: PubSub) -> Any:
    """The data of the next message; waits for it."""
    return wait_until(lambda: pubsub.get_message(timeout=LOOK_SECONDS))["data"]
