"""What is asked of a device that we dial, from its data type's parser and its place in the site file."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from greenpower.datatype import DeclarationError
from greenpower.datatype.dialled import Dialled
from greenpower.framing.rounds import PolledDevice


@runtime_checkable
class Pollable(Protocol):
    """A parser of rounds that also knows what is asked in them."""

    def polled(self, claim: Dialled) -> PolledDevice:
        """The device with its questions. Raises DeclarationError."""


def polled_device(parse: object, claim: Dialled) -> PolledDevice:
    """The device with its questions. Raises DeclarationError where the parser reads no Modbus."""
    if not isinstance(parse, Pollable):
        raise DeclarationError("this data type does not use Modbus")
    return parse.polled(claim)
