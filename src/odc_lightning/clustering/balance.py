"""Offsets of the clusters' scores that make clusters of equal size."""

import math

import torch
from torch import Tensor


def balancing_offsets(scores: Tensor, temperature: float, iterations: int = 3) -> Tensor:
    """Offsets under which soft assignments spread evenly over the clusters.

    The Sinkhorn-Knopp algorithm in the log domain (Cuturi, NeurIPS 2013; used on batches by SwAV,
    Caron et al., NeurIPS 2020, Eq. 3). The offsets are the potentials of the clusters, which apply
    to other samples as well.

    Args:
        scores: (S, C) of S samples, see `odc_lightning.clustering.scores`.
        temperature: T of the assignments ``softmax((scores + offsets) / T)``; a smaller T makes
            them more like labels.
        iterations: each one equalises the clusters, then normalises every sample's distribution.

    Returns:
        (C,) offsets with mean zero.
    """
    logits = scores / temperature
    offsets = logits.new_zeros(logits.shape[1])
    share = math.log(len(logits) / len(offsets))
    for _ in range(iterations):
        shares = torch.log_softmax(logits + offsets, dim=1)
        offsets = offsets + share - shares.logsumexp(dim=0)
    return (offsets - offsets.mean()) * temperature
