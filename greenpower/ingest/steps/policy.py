"""Which devices are stored: `DEVICE_POLICY`, and the bound on those that nobody has confirmed.

`registered` rejects readings of all but confirmed devices as `unregistered`. The other policies take a device that is
not in the registry as long as there is room for unconfirmed ones; beyond that its readings are rejected as
`too-many-unknown`. A device that is rejected is not seen either: ids that are made up would fill what we keep of
devices.

What belongs here: the decision, and the ids taken that the registry does not have yet. What does not: the registry
(`greenpower.jobs.device_registration` adds what was heard), the list of what ingest knows of it (`KnownDevices`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from greenpower.config import Settings
from greenpower.ingest.arrival import FrameReading
from greenpower.ingest.metrics import IngestMetrics
from greenpower.mongo.devices.registered import KnownDevices

log = logging.getLogger(__name__)

UNREGISTERED = "unregistered"
TOO_MANY = "too-many-unknown"
#: reasons for which a frame's device is refused, whatever is in the frame
REFUSED = frozenset({UNREGISTERED, TOO_MANY})
# A device that was taken and is not registered by then, nor heard again: the worker had no room for it.
FORGET_NEW_SECONDS = 3600.0
# Without a limit, new ids come from outside all the same.
MAX_NEW_DEVICES = 100_000
WARN_SECONDS = 60.0


class DevicePolicy:
    """Decides on devices. One per ingest process. now: seconds."""

    def __init__(
        self,
        devices: KnownDevices,
        settings: Settings,
        metrics: IngestMetrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.devices = devices
        self.policy = settings.device_policy
        self.most = settings.device_unconfirmed_max
        self._now = now
        self._new: dict[str, float] = {}  # when each was heard last
        self._warned = -WARN_SECONDS
        self._came = metrics.devices_new
        metrics.devices_unconfirmed.set_function(lambda: self.unconfirmed)
        metrics.devices_unconfirmed_limit.set(self.most)

    @property
    def unconfirmed(self) -> int:
        """How many devices are not confirmed, those included that the registry does not have yet."""
        return self.devices.unconfirmed + len(self._new)

    def takes(self, device_id: str) -> bool:
        """Whether a device is stored and seen. One that is not known yet takes a place among the unconfirmed ones."""
        if self.devices.is_confirmed(device_id):
            return True
        if self.policy == "registered":
            return False
        if device_id in self.devices:
            return True
        if device_id not in self._new:
            if len(self._new) >= MAX_NEW_DEVICES or 0 < self.most <= self.unconfirmed:
                self._warn()
                return False
            self._came.inc()
        self._new[device_id] = self._now()
        return True

    async def admit(self, readings: list[FrameReading]) -> list[FrameReading]:
        """The readings of devices that are taken. A frame that has others only is rejected; of one that has both, its
        detail says so."""
        admitted: list[FrameReading] = []
        refused: list[FrameReading] = []
        for item in readings:
            taken = item.device_id is not None and self.takes(item.device_id)
            (admitted if taken else refused).append(item)
        kept = {item.arrival for item in admitted} if refused else set()
        for item in refused:
            item.arrival.detail = self._detail(item.device_id)
            if item.arrival not in kept:
                item.arrival.rejected = UNREGISTERED if self.policy == "registered" else TOO_MANY
        return admitted

    def refresh(self) -> None:
        """The registry was read again: let go of what it has now, of what was deleted from it, which may have been
        registered for less time than lies between two calls, and of what was not heard again for long."""
        old, deleted = self._now() - FORGET_NEW_SECONDS, self.devices.take_deleted()
        self._new = {
            one: at for one, at in self._new.items() if one not in self.devices and one not in deleted and at > old
        }

    def say(self) -> None:
        """Log which devices are stored."""
        if self.policy == "registered":
            text = "frames of devices that are not in the registry, and confirmed, are rejected"
        elif self.most:
            text = f"at most {self.most} unconfirmed devices are taken"
        else:
            text = "all devices are taken"
        counts = f"{self.devices.count} registered, {self.devices.unconfirmed} of them unconfirmed"
        log.info("DEVICE_POLICY=%s: %s (%s)", self.policy, text, counts)
        if self.policy == "registered" and self.devices.count == self.devices.unconfirmed:
            log.warning("no device is confirmed: all frames are rejected. Register devices, or set DEVICE_POLICY")

    def _detail(self, device_id: str | None) -> str:
        if self.policy != "registered":
            return f"{device_id} is new, and there are {self.most or MAX_NEW_DEVICES} unconfirmed devices already"[:200]
        what = "not confirmed" if device_id in self.devices else "not in the registry"
        return f"{device_id} is {what}"[:200]

    def _warn(self) -> None:
        """A line now and then: each frame that is rejected has its event."""
        now = self._now()
        if now - self._warned >= WARN_SECONDS:
            self._warned = now
            log.warning(
                "%d devices are unconfirmed, as many as may be: frames of further ones are rejected. "
                "See `greenpower devices unconfirmed`",
                self.unconfirmed,
            )
