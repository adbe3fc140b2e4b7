"""Energy: consumption by calendar buckets, and incidents of counters."""
