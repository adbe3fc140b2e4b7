"""The realtime gateway: Socket.IO for dashboards. It reads Redis and uses no other server.

What belongs here: who may connect, what each client subscribed to, and what it is sent. What does not: writing into
Redis (`greenpower.bus`), when a device is offline (`greenpower.measure.presence`).
"""
