"""`/api/outbound/`: programs that readings and buckets are sent to as they come."""
