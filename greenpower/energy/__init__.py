"""The energy model: what people ask of meters. Meter points, tariffs, cost, demand, emissions.

What people decide is in `greenpower.sql`; all numbers come from the interval ledger and the tiers (`greenpower.mongo`).
"""
