"""Counters: which samples of a register count, and how much energy lies between two of them. Pure."""
