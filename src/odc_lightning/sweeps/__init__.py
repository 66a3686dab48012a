"""Several runs: the jobs of a sweep, one GPU for each, search spaces, pruning."""
