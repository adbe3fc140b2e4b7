"""The broker's access list, in mosquitto's format, made from the device registry: who may publish and read what.

A device logs in under its id. It may publish where its data types are claimed, and read the commands to itself. We
ourselves may read what is claimed and publish commands. What is not named is refused. A list is by topic: of devices
that share one, and say in the frame who they are, it cannot tell one from another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from greenpower.catalog.registry import Registry
from greenpower.datatype import Command, DataType, Order
from greenpower.ingest.sources.mqtt.broker_limits import DROPPED
from greenpower.ingest.sources.mqtt.drain import MARK_TOPICS

FILE_HEAD = (
    "# Made by `greenpower mqtt acl` from the device registry: do not edit, make it again.\n"
    "# allow_anonymous false, password_file with a line for each user below, acl_file with this.\n"
)
# Where a command goes depends on the device alone.
OPERATION_ID = "0" * 32
COMMAND_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def access_list(
    devices: Mapping[str, Iterable[str]], registry: Registry, user: str, retained: Iterable[str] = ()
) -> str:
    """The list for devices, {id: names of its data types}, and for ourselves, who log in as `user`. retained: topics
    on which we publish what others read, and see what the broker has of it.

    Devices that cannot have a block are named in a comment, with the reason.
    """
    blocks: list[str] = []
    commands: list[str] = []
    for device_id in sorted(devices):
        types = [found for name in sorted(devices[device_id]) if (found := registry.get(name)) is not None]
        if trouble := _trouble(device_id, types, user):
            blocks.append(f"# {device_id}: {trouble}\n")
            continue
        told = _told(device_id, types)
        commands += told
        blocks.append(_block(device_id, [*_lines("write", _says(device_id, types)), *_lines("read", told)]))
    both = _lines("readwrite", (f"{MARK_TOPICS}#", *retained))
    ours = [*_lines("read", (*registry.topics, DROPPED)), *both, *_lines("write", commands)]
    return "\n".join((FILE_HEAD, _block(user, ours), *blocks))


def _trouble(device_id: str, types: list[DataType], user: str) -> str:
    """Why a device cannot have a block; empty where it can."""
    if device_id == user:
        return "its id is our own user's name"
    if ":" in device_id or device_id.endswith(" "):
        return "no broker's user can have this name"
    if not any(datatype.topics for datatype in types):
        return "none of its data types comes over MQTT"
    return ""


def _says(device_id: str, types: list[DataType]) -> Iterator[str]:
    """The topics that a device publishes on."""
    for datatype in types:
        for claim in (*datatype.topics, *datatype.answers):
            if (own := claim.narrowed(device_id)) is not None:
                yield own


def _told(device_id: str, types: list[DataType]) -> tuple[str, ...]:
    """The topics of commands to a device."""
    return tuple(topic for datatype in types for command in datatype.commands for topic in _goes_to(command, device_id))


def _goes_to(command: Command, device_id: str) -> Iterator[str]:
    for parameters in command.examples():
        order = Order(device_id=device_id, operation=OPERATION_ID, at=COMMAND_TIME, parameters=parameters)
        yield command.build(order).topic
        if command.read_back is not None:
            yield command.read_back.build(order).topic


def _lines(access: str, topics: Iterable[str]) -> list[str]:
    return [f"topic {access} {topic}" for topic in sorted(set(topics))]


def _block(user: str, lines: Iterable[str]) -> str:
    return "\n".join((f"user {user}", *lines)) + "\n"
