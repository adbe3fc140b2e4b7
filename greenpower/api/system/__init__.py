"""The system itself: health, the progress of rollups, and the API's own description."""
