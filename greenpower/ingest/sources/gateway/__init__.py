"""Modbus gateways that open a TCP connection to us."""
