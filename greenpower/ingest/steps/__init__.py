"""The steps of a batch, each in a module of its own. Their order is in `greenpower.ingest.pipeline`."""
