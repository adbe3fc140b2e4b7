"""Home Assistant: what is announced, and what the broker then retains."""
