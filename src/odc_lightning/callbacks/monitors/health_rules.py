"""Rules that detect the common failures of deep clustering, and word the warnings.

Each rule returns a warning (what was measured, why it matters, what to try), or None if the run is
healthy. Numbers are plain Python, except in `mean_cosine`, which stays on the device.
"""

import math

from torch import Tensor
from torch.nn.functional import normalize

# Small data sets have few steps per epoch; before this many steps a run is not judged.
MIN_STEPS = 100
# Healthy runs may need this many epochs before labels start to settle.
SETTLING_EPOCHS = 10


def mean_cosine(features: Tensor) -> Tensor:
    """Compute the mean cosine similarity over all pairs of samples in a batch, in O(B D).

    Rows of zeros, as dead ReLUs produce, have similarity 1 with each other and 0 with all other
    rows, so a batch of zeros has a mean of 1.

    Args:
        features: (B, D), B >= 2; need not be normalised.

    Returns:
        0-dim fp32, in [-1, 1].

    Raises:
        ValueError: if features are not (B, D) with B >= 2.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(
            f"got features of shape {tuple(features.shape)}, expected (B, D) with B >= 2"
        )
    unit = normalize(features.float(), dim=1)
    num_zero = (unit == 0).all(dim=1).sum()
    # |sum of u_i|^2 is the sum over all pairs, including the B pairs of a sample with itself.
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
        chance: loss of the best prediction that is the same for every image.
        epochs: how many have been trained.
        steps: optimiser steps in all of them.
    """
    if epochs < 3 or steps < MIN_STEPS or not loss > 0.98 * chance:
        return None
    return (
        f"After {epochs} epochs the loss is {loss:.2f}, no better than chance ({chance:.2f}): the "
        "network does not learn its task. Try a learning rate ten times lower or higher."
    )


def dominant_cluster(
    largest: int, num_samples: int, num_clusters: int, is_odc: bool = True
) -> str | None:
    """Warn if the largest cluster holds more than 1 / sqrt(C) of all samples.

    On a log scale this is half-way between balanced clusters (1 / C) and a single one (1): 71 % of
    the samples for 2 clusters, 32 % for 10, 10 % for 100, and 1 % (a hundred times the mean size)
    for 10,000.

    Args:
        largest: size of the largest cluster.
        num_samples: N.
        num_clusters: C.
        is_odc: whether the algorithm re-weights the loss and removes small clusters.
    """
    share = largest / num_samples
    if share <= 1 / math.sqrt(num_clusters):
        return None
    return (
        f"One cluster holds {share:.1%} of the samples, where equal clusters would hold "
        f"{1 / num_clusters:.2%} each: if most pseudo-labels are the same, the network learns "
        "little and may collapse. Try "
        f"{'loss re-weighting, a higher threshold for small clusters, ' if is_odc else ''}"
        "a lower learning rate or stronger augmentation."
    )


def switching_not_falling(first: float, last: float, epochs: int, steps: int) -> str | None:
    """Warn if labels still switch nearly as often as in the first epoch.

    The rule applies after ten epochs (and `MIN_STEPS`), if the ratio is at least 0.9 times that of
    the first epoch and above 0.5.

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
        "in the first epoch): the clustering does not settle, so the network learns labels that "
        "have changed by the next visit. Try fewer clusters, a lower learning rate or a lower "
        "feature momentum."
    )


def features_collapsed(cosine: float) -> str | None:
    """Warn if all features are nearly parallel: mean of `mean_cosine` over an epoch above 0.99."""
    if not cosine > 0.99:
        return None
    return (
        f"The features have collapsed: the features of two images have a cosine similarity of "
        f"{cosine:.3f} on average, so clusters separate only noise. Try a lower learning rate, "
        "batch normalisation in the network, or pretrained weights (config key model.pretrained)."
    )


def empty_clusters(num_empty: int, num_clusters: int) -> str | None:
    """Warn if any of C clusters has no member."""
    if num_empty == 0:
        return None
    return (
        f"{num_empty:,} of {num_clusters:,} clusters are empty and will stay empty, so the network "
        "learns fewer classes than its head has. Add the callback SmallClusters (config key "
        "algorithm.small_clusters) or use fewer clusters."
    )
