"""Alarms: rules that people make, judged by what was measured, and what became of each.

What belongs here: kinds of rules (`kinds`, a module each), the states of an alarm (`machine`), judging new readings and
figures (`evaluator`), and passing on what happened (`tell`). What does not: the rows of rules and silences
(`greenpower.sql.alarm_rule`), queries of alarms (`greenpower.mongo.alarms`), what a notice looks like and how it is
sent.
"""
