"""The contract, tested on every shipped plugin."""
