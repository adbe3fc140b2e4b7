"""`/api/notifications/`: channels to people, and the log of what went to them."""
