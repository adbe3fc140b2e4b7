"""Tests of `greenpower.mongo.readings`."""
