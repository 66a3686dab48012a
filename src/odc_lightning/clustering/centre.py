"""Centring: features minus their mean, scaled to unit length."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering.means import means_of_sums, to_fixed_point

_ROWS = 2**14  # centred at once


def centre(features: Tensor) -> Tensor:
    """Subtract the mean from features (N, D) and scale them to unit length, in place.

    Args:
        features: of any float type, on any device or on disk; they are read in blocks.

    Returns:
        The mean (D,) fp32.
    """
    sums = torch.stack([to_fixed_point(rows).sum(dim=0) for rows in features.split(_ROWS)])
    mean = means_of_sums(sums.sum(dim=0, keepdim=True), torch.tensor([len(features)]).to(sums))[0]
    for rows in features.split(_ROWS):
        rows.copy_(normalize(rows.float() - mean, dim=1))
    return mean
