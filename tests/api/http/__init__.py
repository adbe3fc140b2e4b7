"""Tests of what every resource uses."""
