"""The archive's manifest in MongoDB. What does not belong here: the files themselves (`greenpower.archive`)."""
