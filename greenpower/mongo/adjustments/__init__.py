"""Adjustments of energy: what corrections of energy add to the interval ledger, evaluated; every query of them."""
