"""The embedded servers, the supervisor and `greenpower up`."""
