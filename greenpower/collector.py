"""Python's cycle collector, told that a process is done starting."""

from __future__ import annotations

import gc


def calm_collector(*thresholds: int) -> None:
    """Leave what is there by now out of every look for garbage, and look seldom.

    thresholds: as of `gc.set_threshold`. What is made from now on is freed by reference counts, nearly all of it; by
    default Python would go through what waits to be stored, or the rows of an answer, again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
