"""Fixtures for the jobs' tests: those of the rollups' tests."""

from __future__ import annotations

from tests.rollups.conftest import db, world

__all__ = ["db", "world"]
