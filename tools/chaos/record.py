"""The sender's own record of what it sent and what the broker acknowledged, in a file that others read meanwhile."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

HEADER = struct.Struct("<4Q")


class Record:
    """How often each item was sent and acknowledged, and totals: sent, acknowledged, QoS 0 frames, gateway rounds."""

    def __init__(self, path: Path, items: int, *, create: bool = False) -> None:
        self.items = items
        size = HEADER.size + 2 * items
        if create:
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)
        self.totals = [0, 0, 0, 0]

    def note_sent(self, item: int) -> None:
        self._count(HEADER.size + item)
        self.totals[0] += 1

    def note_acked(self, item: int) -> None:
        self._count(HEADER.size + self.items + item)
        self.totals[1] += 1

    def save(self) -> None:
        """Let readers see the totals."""
        HEADER.pack_into(self._map, 0, *self.totals)

    def read(self) -> tuple[int, int, int, int]:
        """The totals as saved last."""
        sent, acked, loose, rounds = HEADER.unpack_from(self._map)
        return sent, acked, loose, rounds

    @property
    def acked(self) -> bytes:
        """How often each item was acknowledged."""
        return self._map[HEADER.size + self.items :]

    def close(self) -> None:
        self._map.close()

    def _count(self, at: int) -> None:
        self._map[at] = min(255, self._map[at] + 1)
