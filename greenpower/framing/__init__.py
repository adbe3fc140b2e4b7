"""Stream framers, sans-IO: bytes in, messages out. What belongs here: lines, Modbus TCP, registration packets.

Imports `greenpower.datatype` only; plugins may import it.
"""
