"""MQTT: one persistent session at a broker."""
