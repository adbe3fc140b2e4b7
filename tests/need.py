"""What a test needs from the machine and cannot bring along: a browser, a built page, a program."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

Found = TypeVar("Found")


def need(found: Found | None, what: str) -> Found:
    """What was found. Skip where it is missing or false, but never in CI: there the test fails and says what."""
    if found:
        return found
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
