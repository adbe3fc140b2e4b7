"""The kinds of alarm rules, a module each: its `KIND` says what it needs and how it judges.

What belongs here: nothing but kinds. They are found by looking into this package; no list names them.
"""
