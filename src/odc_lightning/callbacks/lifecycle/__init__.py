"""Callbacks for checkpoints, signals, guards and the files of a run folder."""
