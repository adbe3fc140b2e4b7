"""The realtime gateway: Socket.IO to dashboards, fed by Redis and touching nothing else.

What belongs here: who may connect, what each client has asked for, and what is sent to it. What does not: who writes
into Redis (`greenpower.bus`), when a device is offline (`greenpower.measure.presence`).
"""
