"""Corrections: what people put right in what a device sent or in what was counted of it; every query of them."""
