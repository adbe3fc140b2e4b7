"""From a frame's arrival to its stored reading and event: matching, parsing, clock, batching, MQTT, TCP.

What belongs here: the one process that devices talk to. What does not: how their bytes are read (`greenpower.framing`,
the plugins), how documents are written (`greenpower.mongo`).
"""
