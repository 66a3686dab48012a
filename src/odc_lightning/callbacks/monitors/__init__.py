"""Callbacks that only observe a training (`conf/callbacks/`)."""
