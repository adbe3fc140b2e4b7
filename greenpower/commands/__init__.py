"""Commands of the command line, one module a group. They parse arguments and print; the work is done below.

Imported by `greenpower.cli` only.
"""
