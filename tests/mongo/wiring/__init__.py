"""Tests of greenpower.mongo.wiring: what the checks of the wiring found, and the days that are checked."""
