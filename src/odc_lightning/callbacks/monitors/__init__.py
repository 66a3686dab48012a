"""Callbacks that only observe training (`conf/callbacks/`)."""
