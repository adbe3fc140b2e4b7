"""What the checks of the wiring found: keeping findings, and reading them and the days that are checked."""
