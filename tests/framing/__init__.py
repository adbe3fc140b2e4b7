"""Framers and the talk with a gateway: bytes in, messages out. `stream` makes the bytes."""
