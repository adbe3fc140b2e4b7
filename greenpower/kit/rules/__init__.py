"""The rules, one module per topic. A rule takes a plugin and yields the problems in it. Rules are pure.

`greenpower.kit.contract` has the list.
"""
