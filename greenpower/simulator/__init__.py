"""Devices that send the real wire formats, made from the same data types that ingest reads them with.

What belongs here: a day of values, faults, and the connections of a fleet. What does not: how a type's frames look (its
`wire=` and `simulated_response=`).
"""
