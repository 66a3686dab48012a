"""Centring: features minus their mean, scaled to unit length."""

from torch import Tensor
from torch.nn.functional import normalize

from odc_lightning.clustering.means import exact_dtype

_ROWS = 2**14  # centred at once


def centre(features: Tensor) -> Tensor:
    """Subtract the mean from features (N, D) and scale them to unit length, in place.

    Args:
        features: of any float type, on any device or on disk; they are read in blocks.

    Returns:
        The mean (D,) fp32.
    """
    dtype = exact_dtype(features.device)
    total = sum(rows.to(dtype).sum(dim=0) for rows in features.split(_ROWS))
    mean: Tensor = (total / len(features)).float()
    for rows in features.split(_ROWS):
        rows.copy_(normalize(rows.float() - mean, dim=1))
    return mean
