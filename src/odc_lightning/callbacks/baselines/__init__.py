"""Baselines: DeepCluster, DeepCluster-v2, pretext tasks and supervised training."""
