"""Clusters of equal size: what to add to their scores."""

import math

import torch
from torch import Tensor


def balancing_offsets(scores: Tensor, temperature: float, iterations: int = 3) -> Tensor:
    """Offsets under which soft assignments spread evenly over the clusters.

    The Sinkhorn-Knopp algorithm (Cuturi, NeurIPS 2013; used on batches by SwAV, Caron et al.,
    NeurIPS 2020, Eq. 3), in the log domain, of which the potentials of the clusters are kept: they
    hold for samples that were not there as well.

    Args:
        scores: (S, C) of some samples, see `odc_lightning.clustering.scores`.
        temperature: T of the assignments ``softmax((scores + offsets) / T)``; the smaller, the
            nearer they are to labels.
        iterations: each of them makes the clusters even, then every sample a distribution again.

    Returns:
        (C,) offsets, of mean zero.
    """
    logits = scores / temperature
    offsets = logits.new_zeros(logits.shape[1])
    share = math.log(len(logits) / len(offsets))
    for _ in range(iterations):
        shares = torch.log_softmax(logits + offsets, dim=1)
        offsets = offsets + share - shares.logsumexp(dim=0)
    return (offsets - offsets.mean()) * temperature
