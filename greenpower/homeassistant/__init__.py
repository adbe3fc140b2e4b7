"""Home Assistant: devices that announce themselves by MQTT discovery, and their newest values.

What belongs here: what is announced of a device, and keeping the broker's retained messages equal to it. What does not:
when that is done (`greenpower.jobs.homeassistant`), the connection (`greenpower.control.publish`).
"""
