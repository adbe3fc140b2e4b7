"""Tools for developers: benchmarks, faults and endurance. Not part of the installed package."""
