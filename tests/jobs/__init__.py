"""Rollups and the other jobs. `world` stores readings and rolls them up; `truth` says what must come of it."""
