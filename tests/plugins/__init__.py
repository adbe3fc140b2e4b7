"""The contract, with every plugin that is there."""
