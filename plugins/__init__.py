"""The shipped data types, a folder each. They import `greenpower.datatype` and `greenpower.framing`, nothing else."""
