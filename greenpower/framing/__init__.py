"""Stream framers, sans-IO: bytes in, messages out. What belongs here: lines, Modbus TCP, registration packets.

Uses `greenpower.datatype` only.
"""
