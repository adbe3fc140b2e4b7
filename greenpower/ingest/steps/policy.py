"""Which devices are listened to: with `DEVICE_POLICY=registered`, those of the registry alone."""

from __future__ import annotations

from collections.abc import Container, Iterable

from greenpower.ingest.arrival import Found

UNREGISTERED = "unregistered"


def admit(found: Iterable[Found], devices: Container[str]) -> list[Found]:
    """The readings of registered devices. A frame that has others only is rejected; of one that has both, its detail
    says so."""
    admitted: list[Found] = []
    refused: list[Found] = []
    for item in found:
        (admitted if item.device_id in devices else refused).append(item)
    kept = {id(item.arrival) for item in admitted}
    for item in refused:
        item.arrival.detail = f"{item.device_id} is not in the registry"[:200]
        if id(item.arrival) not in kept:
            item.arrival.rejected = UNREGISTERED
    return admitted
