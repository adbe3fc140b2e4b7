"""Adjustments: what a correction of energy adds to the quarter-hours that were counted, and takes from them. Pure."""
