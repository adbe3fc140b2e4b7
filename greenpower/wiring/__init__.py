"""Checks of the wiring: what a device sends in a day, held against what electricity can do.

What belongs here: one day of a circuit as columns by quantity, the checks (one module each in `checks`), which finding
follows from which, and running them over devices. What does not: queries (`greenpower.mongo.wiring`), alarms. No data
type is named: which field is which quantity is in its declaration.
"""
