"""`/api/outbound/`: programs that readings, buckets and closed bills are sent to as they come."""
