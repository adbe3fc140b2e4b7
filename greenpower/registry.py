"""The old name of `greenpower.catalog.registry`, for tests of plugins that import `discover`. Removed in 0.3."""

from __future__ import annotations

import warnings
from typing import Any

from greenpower.catalog import registry


def __getattr__(name: str) -> Any:
    """An object of the new module, with a DeprecationWarning."""
    warnings.warn(f"greenpower.registry is now {registry.__name__}", DeprecationWarning, stacklevel=2)
    return getattr(registry, name)
