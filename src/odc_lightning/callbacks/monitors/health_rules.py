"""Rules that say in plain words when a run goes wrong: what was seen, why it matters, what to try.

Each rule returns a sentence or two, or None if all is well. Numbers are plain Python, except in
`mean_cosine`, which stays on the device.
"""

import math

from torch import Tensor
from torch.nn.functional import normalize

# Small data has few steps an epoch: a run that has hardly begun is not yet to be judged.
MIN_STEPS = 100
# Healthy runs may need as many before labels begin to settle.
SETTLING_EPOCHS = 10


def mean_cosine(features: Tensor) -> Tensor:
    """Mean cosine similarity of all pairs of different samples in a batch, in O(B D).

    Rows of zeros, which dead ReLUs give, count as alike among themselves and as orthogonal to all
    others: a batch of nothing but zeros has 1.

    Args:
        features: (B, D), B >= 2; need not be normalised.

    Returns:
        A scalar fp32 tensor in [-1, 1].

    Raises:
        ValueError: fewer than two samples.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"Got features of shape {tuple(features.shape)}, expected (B, D) with B >= 2."
        )
    unit = normalize(features.float(), dim=1)
    num_zero = (unit == 0).all(dim=1).sum()
    # |sum of u_i|^2 is the sum over all pairs, of which B are a sample with itself.
    over_all_pairs = unit.sum(dim=0).square().sum() + num_zero.square()
    return (over_all_pairs - len(features)) / (len(features) * (len(features) - 1))


def loss_at_chance(loss: float, num_clusters: int, epochs: int, steps: int) -> str | None:
    """Warn if the loss is not 2 % below ln C after three epochs (and `MIN_STEPS`).

    Args:
        loss: mean over the last epoch.
        num_clusters: C.
        epochs: how many have been trained.
        steps: optimiser steps in all of them.
    """
    chance = math.log(num_clusters)
    if epochs < 3 or steps < MIN_STEPS or not loss > 0.98 * chance:
        return None
    return (
        f"After {epochs} epochs the loss is {loss:.2f}, no better than chance (ln C = {chance:.2f} "
        f"for {num_clusters:,} clusters): the network does not learn its pseudo-labels. Try a "
        "learning rate ten times lower or higher, or fewer clusters."
    )


def task_at_chance(loss: float, chance: float, epochs: int, steps: int) -> str | None:
    """Warn if a pretext task's loss is not 2 % below chance after three epochs (and `MIN_STEPS`).

    Args:
        loss: mean over the last epoch.
        chance: the loss of the best prediction that is the same for every image.
        epochs: how many have been trained.
        steps: optimiser steps in all of them.
    """
    if epochs < 3 or steps < MIN_STEPS or not loss > 0.98 * chance:
        return None
    return (
        f"After {epochs} epochs the loss is {loss:.2f}, no better than chance ({chance:.2f}): the "
        "network does not learn its task. Try a learning rate ten times lower or higher."
    )


def dominant_cluster(largest: int, num_samples: int, num_clusters: int) -> str | None:
    """Warn if the largest cluster holds more than 1 / sqrt(C) of all samples.

    That is half-way, on a log scale, between balance (1 / C) and one cluster for everything (1):
    71 % of the samples for 2 clusters, 32 % for 10, 10 % for 100, 1 % (a hundred times the mean
    size) for 10,000.

    Args:
        largest: size of the largest cluster.
        num_samples: N.
        num_clusters: C.
    """
    share = largest / num_samples
    if share <= 1 / math.sqrt(num_clusters):
        return None
    return (
        f"One cluster holds {share:.1%} of the samples, where equal clusters would hold "
        f"{1 / num_clusters:.2%} each: pseudo-labels that are nearly all the same teach little and "
        "lead to collapse. Try loss re-weighting, a higher threshold for small clusters, a lower "
        "learning rate or stronger augmentation."
    )


def switching_not_falling(first: float, last: float, epochs: int, steps: int) -> str | None:
    """Warn if, after ten epochs (and `MIN_STEPS`), labels switch nearly as often as in the first.

    "Nearly" is at least 0.9 times as often, and it is no concern up to a ratio of 0.5.

    Args:
        first: mean label-switch ratio over the first epoch.
        last: mean over the last epoch.
        epochs: how many have been trained.
        steps: optimiser steps in all of them.
    """
    if epochs < SETTLING_EPOCHS or steps < MIN_STEPS or last < 0.9 * first or not last > 0.5:
        return None
    return (
        f"After {epochs} epochs {last:.0%} of the labels still change at each update ({first:.0%} "
        "in the first epoch): the clustering does not settle, so the network chases labels that "
        "are gone when it comes back. Try fewer clusters, a lower learning rate or a lower feature "
        "momentum."
    )


def features_collapsed(cosine: float) -> str | None:
    """Warn if all features point the same way: `mean_cosine` above 0.99, mean over an epoch."""
    if not cosine > 0.99:
        return None
    return (
        f"The features have collapsed: those of two images have a cosine similarity of "
        f"{cosine:.3f} on average, so clusters tell noise apart. Try a lower learning rate, "
        "batch normalisation in the network, or a start from trained weights."
    )


def empty_clusters(num_empty: int, num_clusters: int) -> str | None:
    """Warn if any of C clusters has no member."""
    if num_empty == 0:
        return None
    return (
        f"{num_empty:,} of {num_clusters:,} clusters are empty: nothing brings their classes back, "
        "so the network learns fewer than it has. Add the callback SmallClusters "
        "(config key algorithm.small_clusters) or use fewer clusters."
    )
