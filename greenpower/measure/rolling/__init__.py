"""Rolling: how the samples of a field become states in buckets, one module per kind.

What belongs here: what `roll` calls for a column of each kind, and what those calls share. What does not: the states
themselves and how they merge (`greenpower.measure.kinds`), and the rules of registers (`greenpower.measure.counter`).
"""
