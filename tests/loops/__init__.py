"""Supervised loops: threads, tasks, greenlets, and all of a process."""
