"""Callbacks of other methods: DeepCluster, DeepCluster-v2, pretext tasks, supervised."""
