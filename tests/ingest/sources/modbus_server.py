"""A Modbus server of pymodbus in a process of its own: an independent reading of the standard that is dialled.

python -m tests.ingest.sources.modbus_server PORT tcp|rtu {"1": {"hr": {"40001": 7}}}
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from greenpower.stack.port import is_free
from tests.wait import wait_until

#: unit -> table (co, di, hr, ir) -> register number from 1 -> content
Units = Mapping[int, Mapping[str, Mapping[int, int]]]


class ModbusServer:
    """The process. Units that are not there stay silent. port: where it listens."""

    def __init__(self, port: int, units: Units, framing: str = "tcp") -> None:
        self.port = port
        command = [sys.executable, "-m", "tests.ingest.sources.modbus_server", str(port), framing, json.dumps(units)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        wait_until(lambda: not is_free(self.port), 30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """End it the hard way."""
        self._process.kill()
        self._process.wait()


async def serve(port: int, framing: str, units: dict[str, dict[str, dict[str, int]]]) -> None:
    """Serve until killed."""
    from pymodbus.framer import FramerType
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    def block(tables: dict[str, dict[str, int]], name: str) -> Any:
        """Single registers, or one run of bits: a gap cannot be read."""
        table = {int(number): content for number, content in tables.get(name, {"1": 0}).items()}
        if name in ("hr", "ir"):
            return [SimData(at - 1, values=[table[at]], datatype=DataType.REGISTERS) for at in sorted(table)]
        bits = [bool(table.get(at)) for at in range(min(table), max(table) + 1)]
        return [SimData(min(table) - 1, values=bits, datatype=DataType.BITS)]

    devices = [
        SimDevice(int(unit), simdata=tuple(block(tables, name) for name in ("co", "di", "hr", "ir")))
        for unit, tables in units.items()
    ]
    server = ModbusTcpServer(
        devices,
        framer=FramerType.RTU if framing == "rtu" else FramerType.SOCKET,
        address=("127.0.0.1", port),
        ignore_missing_devices=True,
    )
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
