"""Alarms: the states of an alarm, kinds of rules, rounds of the evaluator, and what is told."""
