"""Tests of the checks of the wiring: planted faults are found and named, good days raise nothing."""
