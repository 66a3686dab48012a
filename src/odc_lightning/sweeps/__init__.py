"""Several runs: their jobs, a GPU each, search spaces, pruning."""
