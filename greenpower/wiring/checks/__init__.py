"""The checks, one module each: each has a `CHECK`. A module that is put here is found; it is named nowhere else.

What belongs here: a comparison of one circuit's day and what to look at on site. What does not: medians and loads
(`greenpower.wiring.figures`), tolerances (`greenpower.wiring.tolerance`).
"""
