"""Tests of the telemetry resources."""
