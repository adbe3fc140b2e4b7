"""Stream framers, sans-IO: bytes in, messages out. What belongs here: lines, Modbus TCP, registration packets.

Uses `greenpower.datatype` only. Imported by plugins, and by adaptation, ingest, kit, simulator and site.
"""
