"""The effective rank of features."""

import torch
from torch import Tensor


def effective_rank(features: Tensor) -> float:
    """RankMe of Garrido et al. (2023), the exponential of the entropy of singular values.

    With s_k the singular values and p_k = s_k / Σ s the result is exp(−Σ p_k ln p_k), the effective
    rank of Roy and Vetterli (2007): 1 if all features are multiples of one, and at most min(B, D),
    if all directions are used equally. The features are neither centred nor normalised.

    Args:
        features: (B, D).

    Returns:
        1 to min(B, D); 0 where all features are zero, NaN where one is not finite.

    Raises:
        ValueError: if there are no features.
    """
    if features.ndim != 2 or features.numel() == 0:
        raise ValueError(f"Got features of shape {tuple(features.shape)}, expected (B, D) > 0.")
    features = features.float()
    if not bool(features.isfinite().all()):
        return float("nan")
    values = torch.linalg.svdvals(features)
    shares = values / values.sum()
    return float(torch.special.entr(shares).sum().exp()) if bool(values.any()) else 0.0
