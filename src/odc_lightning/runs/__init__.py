"""The folder of a run: finding it, resuming it, and each file in it."""
