"""What a bucket's numbers are: exact cases, and random ones against the plain definition."""
