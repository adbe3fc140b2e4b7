"""History import: readings from files that other systems, or an export, wrote.

What belongs here: reading the files, what their columns mean, checking rows, storing them in batches. What does not:
who may do so and how they ask (the API, the command line), the merge rule of readings (`greenpower.mongo.readings`).
"""
