"""The fields of a protobuf message, cut from its bytes. Source: Protocol Buffers documentation, "Encoding".

    | key, varint          | value                                                                    |
    | number << 3 | type   | type 0: varint · 1: 8 bytes · 2: length as varint, then bytes · 5: 4 bytes |

    varint: 7 bits in each byte, lowest first; the top bit says that another byte follows; 10 bytes at most

Numbers of fixed length are little-endian. What belongs here: where each field begins and ends, and its raw value. What
does not: what fields mean (`sparkplug`). Groups (types 3 and 4) are outdated, and rejected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from greenpower.datatype import FrameError

VARINT, EIGHT_BYTES, DELIMITED, FOUR_BYTES = 0, 1, 2, 5
FIXED_LENGTHS = {EIGHT_BYTES: 8, FOUR_BYTES: 4}
MAX_VARINT_BITS = 64
NOT_PROTOBUF = "not-protobuf"


class ProtobufField(NamedTuple):
    """A field as it is encoded. value: the number of a varint, below 2**64; the bytes of all other types."""

    number: int
    wire_type: int
    value: int | bytes


def protobuf_fields(data: bytes) -> Iterator[ProtobufField]:
    """The fields of a message, in order. Raises FrameError: not-protobuf, where the bytes are none."""
    at, end = 0, len(data)
    while at < end:
        began = at
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise FrameError(NOT_PROTOBUF, f"field number {number} at byte {began}")
        if wire_type == VARINT:
            found, at = _varint(data, at)
            yield ProtobufField(number, wire_type, found)
            continue
        if wire_type == DELIMITED:
            length, at = _varint(data, at)
        elif (fixed := FIXED_LENGTHS.get(wire_type)) is not None:
            length = fixed
        else:
            raise FrameError(NOT_PROTOBUF, f"type {wire_type} of field {number} at byte {began}")
        if length > end - at:
            raise FrameError(
                NOT_PROTOBUF, f"field {number} at byte {began} has {length} bytes, and {end - at} are left"
            )
        yield ProtobufField(number, wire_type, data[at : at + length])
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and the place after it."""
    number = shift = 0
    for place in range(at, len(data)):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if number >> MAX_VARINT_BITS:
                break
            return number, place + 1
        shift += 7
        if shift >= MAX_VARINT_BITS + 6:
            break
    else:
        raise FrameError(NOT_PROTOBUF, f"the number at byte {at} is cut off")
    raise FrameError(NOT_PROTOBUF, f"the number at byte {at} has more than {MAX_VARINT_BITS} bits")
