"""Sources of frames: one folder for each transport, and what all of them share."""
