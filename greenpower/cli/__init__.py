"""Commands of the command line, one module a group. They parse arguments and print; the work is done below.

May import everything but `greenpower.cli.main`, which loads them by name.
"""
