"""From a frame's arrival to its stored reading and event: matching, parsing, clock, batching, MQTT, TCP.

Imported by `greenpower.commands` only; uses store, registry and datatype.
"""
