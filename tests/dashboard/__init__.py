"""The dashboard in a real browser, beside the whole stack."""
