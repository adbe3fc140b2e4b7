"""Claims on devices that we connect to: the site file says where they are.

What belongs here: what is known of one such device. What does not: what is asked of it (its data type's parser), the
connection (`greenpower.ingest.sources`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from greenpower.datatype.claim import is_device_id
from greenpower.datatype.error import DeclarationError

MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """A claim on one device that we connect to, or, without a host, on those that the site file names.

    protocol: `modbus`, or `telegrams` for what sends telegrams unasked, such as the P1 port of a meter. host, port:
    where it is. device: its id; of telegrams that name their device themselves it may be "". framing: of Modbus, `tcp`
    or `rtu`. unit: its Modbus unit. every: seconds from one round of questions to the next. timeout: seconds an answer
    may take. silence: seconds without a word after which a connection is dead. Raises DeclarationError.
    """

    protocol: Literal["modbus", "telegrams"]
    host: str = ""
    port: int = 502
    device: str = ""
    framing: Literal["tcp", "rtu"] = "tcp"
    unit: int = 1
    every: float = 10.0
    timeout: float = 3.0
    silence: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.port <= MAX_PORT:
            raise DeclarationError(f"port {self.port} is not 1 to {MAX_PORT}")
        if not 0 <= self.unit <= 255:
            raise DeclarationError(f"unit {self.unit} is not 0 to 255")
        if min(self.every, self.timeout, self.silence) <= 0:
            raise DeclarationError("every, timeout and silence must be above 0 seconds")
        if self.device and not is_device_id(self.device):
            raise DeclarationError(f"device {self.device!r} is not a valid device id")
        if self.host and not self.device and self.protocol == "modbus":
            raise DeclarationError(f"host {self.host!r}: device is missing, the id of what is asked there")

    @property
    def address(self) -> str:
        """Host and port; what has the same address shares one connection."""
        return f"{self.host}:{self.port}"

    def topic(self, type_name: str) -> str:
        """The topic of its frames."""
        return f"{self.protocol}/{type_name}/{self.device or self.host}"
