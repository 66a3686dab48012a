"""2-means, which splits a cluster in two."""

import numpy as np
import torch
from torch import Tensor

from odc_lightning.clustering.assign import assign

TWO_MEANS_ITERATIONS = 20


def two_means(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Split samples in two by 2-means with k-means++ initialisation.

    Args:
        features: (n, D) on the CPU, n >= 2.
        rng: generator from which always two uniform numbers are drawn.

    Returns:
        (n,) bool, True for the second half. Neither half is empty: samples that coincide are cut
        in the middle of their order.
    """
    draws = rng.random(2)
    first = features[int(draws[0] * len(features))]
    odds = (features - first).square().sum(dim=1).cumsum(dim=0)
    chosen = int(torch.searchsorted(odds, draws[1] * odds[-1], right=True))
    centers = torch.stack([first, features[min(chosen, len(features) - 1)]])
    second = torch.zeros(len(features), dtype=torch.bool)
    for _ in range(TWO_MEANS_ITERATIONS):
        before, second = second, assign(features, centers).bool()
        size = int(second.sum())
        if size in (0, len(features)) or torch.equal(before, second):
            break
        centers = torch.stack([features[~second].mean(dim=0), features[second].mean(dim=0)])
    if int(second.sum()) in (0, len(features)):
        second = torch.arange(len(features)) >= len(features) // 2
    return second
