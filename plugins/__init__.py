"""The shipped plugins, one folder each. They import only `greenpower.datatype` and `greenpower.framing`."""
