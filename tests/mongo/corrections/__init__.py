"""Tests of corrections as they are kept, and of what they do to samples."""
