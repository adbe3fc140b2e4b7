"""Rollup arithmetic, pure: windows, the state of each kind, adding samples and merging states.

Imports `greenpower.datatype` only; knows no database.
"""
