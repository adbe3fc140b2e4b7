"""Frames for the benchmarks, in memory, and putting them into a broker. Imports nothing of greenpower."""

from __future__ import annotations

import asyncio
import struct
import time
from datetime import UTC, datetime, timedelta, timezone
from random import Random

TOPIC = "MQTT_RT_DATA"
DEVICES = 500
SPACING = timedelta(seconds=30)
ZONE = timezone(timedelta(hours=6))
#: the 40 fields of a KPM33B with usual values, and the decimals that it sends
FIELDS: dict[str, tuple[float, int]] = {
    **dict.fromkeys(("ia", "ib", "ic"), (9.7, 3)),
    **dict.fromkeys(("ua", "ub", "uc"), (230.0, 3)),
    **dict.fromkeys(("uab", "ubc", "uca"), (400.0, 3)),
    **dict.fromkeys(("pa", "pb", "pc"), (2.23, 4)),
    "zyggl": (6.69, 4),
    **dict.fromkeys(("qa", "qb", "qc"), (-0.165, 4)),
    "zwggl": (-0.49, 4),
    **dict.fromkeys(("sa", "sb", "sc"), (2.24, 4)),
    "zszgl": (6.71, 4),
    **dict.fromkeys(("pfa", "pfb", "pfc", "zglys"), (0.94, 3)),
    "f": (49.96, 3),
    **{"uxja": (0.4, 3), "uxjb": (239.7, 3), "uxjc": (119.8, 3)},
    **{"ixja": (340.1, 3), "ixjb": (235.4, 3), "ixjc": (115.6, 3)},
    "unb": (1.485, 3),
    "inb": (0.823, 3),
    **{"pdm": (6.69, 4), "qdm": (-0.497, 4), "sdm": (6.71, 4)},
    **dict.fromkeys(("iadm", "ibdm", "icdm"), (9.68, 4)),
}


def make_frames(count: int) -> list[bytes]:
    """`count` frames of 500 meters in turn, 40 fields each, every (meter, time) once, the times before now."""
    random = Random(1)
    rounds = -(-count // DEVICES)
    now = datetime.now(ZONE).replace(microsecond=0)
    found = []
    for turn in range(rounds):
        stamp = f"{now - (rounds - turn) * SPACING:%Y%m%d%H%M%S}"
        for device in range(min(DEVICES, count - turn * DEVICES)):
            values = ",".join(
                f'"{key}":{usual * random.uniform(0.97, 1.03):.{decimals}f}'
                for key, (usual, decimals) in FIELDS.items()
            )
            found.append(f'{{"id":"33B19{device:08d}",{values},"time":"{stamp}","isend":"1"}}'.encode())
    return found


def stamp_of(text: str) -> datetime:
    """The time that a frame's `time` means, UTC."""
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=ZONE).astimezone(UTC)


async def publish(host: str, port: int, packets: list[tuple[str, bytes]]) -> float:
    """Publish (topic, payload) with QoS 1 over a bare MQTT 3.1.1 connection. Returns the seconds until all are acked.

    No client library: it would be slower than the broker.
    """
    reader, writer = await _connect(host, port, "bench-publisher")
    began = time.perf_counter()

    async def send() -> None:
        for number, (topic, payload) in enumerate(packets):
            body = _text(topic.encode()) + struct.pack("!H", number % 65_535 + 1) + payload
            writer.write(b"\x32" + _length(len(body)) + body)
            if number % 100 == 99:
                await writer.drain()
        await writer.drain()

    sending = asyncio.create_task(send())
    await reader.readexactly(4 * len(packets))
    await sending
    await _leave(writer)
    return time.perf_counter() - began


async def end_session(host: str, port: int, client_id: str) -> None:
    """Let the broker forget a session: it would go on queueing frames for it, and giving it its share of a group's."""
    _, writer = await _connect(host, port, client_id)
    await _leave(writer)


async def _connect(host: str, port: int, client_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """With a clean session: one of that name ends here, and this one when it leaves."""
    reader, writer = await asyncio.open_connection(host, port)
    body = _text(b"MQTT") + b"\x04\x02\x00\x3c" + _text(client_id.encode())
    writer.write(b"\x10" + _length(len(body)) + body)
    assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
    return reader, writer


async def _leave(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\xe0\x00")
    writer.close()
    await writer.wait_closed()


def _text(text: bytes) -> bytes:
    return struct.pack("!H", len(text)) + text


def _length(number: int) -> bytes:
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | (128 if number else 0))
        if not number:
            return bytes(found)
