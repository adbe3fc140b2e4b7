"""Work that runs in RQ workers: rollups, device sync, presence. Uses store, models and rollup."""
