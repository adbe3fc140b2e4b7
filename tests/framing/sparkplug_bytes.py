"""Sparkplug B payloads as bytes, encoded field by field: written for the tests, from the specification alone."""

from __future__ import annotations

import struct
from typing import Any

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64, FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME = range(1, 14)
LONGS = (INT64, UINT64, DATETIME)


def varint(number: int) -> bytes:
    """A number below 2**64, seven bits a byte."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def number(field: int, value: int) -> bytes:
    """A field that is a varint."""
    return varint(field << 3) + varint(value)


def delimited(field: int, value: bytes) -> bytes:
    """A field with a length."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def value_bytes(datatype: int, value: Any) -> bytes:
    """A value in the field of its type."""
    if datatype == BOOLEAN:
        return number(14, int(value))
    if datatype == FLOAT:
        return varint(12 << 3 | 5) + struct.pack("<f", value)
    if datatype == DOUBLE:
        return varint(13 << 3 | 1) + struct.pack("<d", value)
    if datatype == STRING:
        return delimited(15, value.encode())
    return number(11, value % 2**64) if datatype in LONGS else number(10, value % 2**32)


def metric(
    datatype: int, value: Any, *, name: str = "", alias: int | None = None, at: int | None = None,
    typed: bool = True, historical: bool = False, transient: bool = False,
) -> bytes:  # fmt: skip
    """A metric. value: None for null. at: epoch milliseconds. typed: whether it says its data type, as in births."""
    return b"".join((
        delimited(1, name.encode()) if name else b"",
        b"" if alias is None else number(2, alias),
        b"" if at is None else number(3, at),
        number(4, datatype) if typed else b"",
        number(5, 1) if historical else b"",
        number(6, 1) if transient else b"",
        number(7, 1) if value is None else value_bytes(datatype, value),
    ))  # fmt: skip


def payload(at: int | None, *metrics: bytes, seq: int | None = 0) -> bytes:
    """A message. at: epoch milliseconds."""
    head = b"" if at is None else number(1, at)
    tail = b"" if seq is None else number(3, seq)
    return head + b"".join(delimited(2, one) for one in metrics) + tail
