"""What clients and devices send that mean no good, or know no better, and what others see meanwhile.

What belongs here: a module for each kind of hostile input, with real processes, each marked slow. Every test holds how
others fared: `others.py` asks the API all the while, `frames.py` sends frames and counts what is stored of them. What
does not: single refusals, which are tested where they are made.
"""
