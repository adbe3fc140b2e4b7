"""What sources have in common that listen on a port and answer what was read before they stop.

What belongs here: beginning and ending. What does not: the port (`listener`), what comes over a connection.
"""

from __future__ import annotations

from typing import Any

from greenpower.ingest.sources.listener import TcpListener


class PortSource:
    """A source with one port. Its connections ask `stopping` when they decide whether to read on."""

    listener: TcpListener

    def __init__(self) -> None:
        self.stopping = False

    @property
    def listening_to(self) -> str:
        return self.listener.listening_to

    async def start(self) -> None:
        await self.listener.start()

    async def stop(self) -> None:
        """Read no more. Connections stay, for the answers to what was read."""
        self.stopping = True
        self.listener.stop()
        for connection in list(self.listener.connections):
            connection.flow()

    async def close(self) -> None:
        self.listener.close_all(flush=True)

    def health(self) -> dict[str, Any]:
        """`{"ok", "connections"}`."""
        return {"ok": True, "connections": len(self.listener.connections)}
