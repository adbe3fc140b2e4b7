"""The old place of `greenpower.catalog.registry`. Tests of plugins import `discover` from here; it goes with 0.3."""

from __future__ import annotations

import warnings
from typing import Any

from greenpower.catalog import registry


def __getattr__(name: str) -> Any:
    """What was here, with a DeprecationWarning."""
    warnings.warn(f"greenpower.registry is now {registry.__name__}", DeprecationWarning, stacklevel=2)
    return getattr(registry, name)
