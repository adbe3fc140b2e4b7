"""Simulated devices that obey commands: which topics they listen to, and what they answer.

What belongs here: finding the device that a message is for, and what each remembers. What does not: the connection
(`publisher`), what the protocol says (the data type's `simulated_response`).
"""

from __future__ import annotations

from collections.abc import Iterable

from greenpower.datatype import Message
from greenpower.simulator.device import Packet, SimulatedDevice

#: devices that listen; a fleet for load has more, and each costs the broker some subscriptions
MAX_LISTENING_DEVICES = 500


class Listeners:
    """The devices of a fleet that listen."""

    def __init__(self, devices: Iterable[SimulatedDevice]) -> None:
        self._by_topic: dict[str, SimulatedDevice] = {}
        self._memory: dict[str, dict[str, str]] = {}
        for device in [device for device in devices if device.datatype.simulated_response is not None][
            :MAX_LISTENING_DEVICES
        ]:
            assert device.datatype.simulated_response is not None
            self._by_topic.update(dict.fromkeys(device.datatype.simulated_response.topics(device.device_id), device))

    @property
    def topics(self) -> tuple[str, ...]:
        """All that is listened to."""
        return tuple(self._by_topic)

    def hear(self, topic: str, payload: bytes) -> tuple[Packet, ...]:
        """What is answered to a message."""
        device = self._by_topic.get(topic)
        if device is None or device.datatype.simulated_response is None:
            return ()
        memory = self._memory.setdefault(device.device_id, {})
        answers = device.datatype.simulated_response.obey(
            device.device_id, memory, Message(topic=topic, payload=payload)
        )
        return tuple((answer.topic, answer.payload) for answer in answers)
