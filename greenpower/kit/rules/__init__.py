"""The rules, a module for each subject. A rule takes a plugin and gives the problems that it finds, pure.

Imported by `greenpower.kit.contract`, which has the list.
"""
