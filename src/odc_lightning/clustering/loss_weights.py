"""Loss re-weighting (Sec. 3.2): samples in smaller clusters have larger weights."""

from torch import Tensor


def loss_weights(sizes: Tensor) -> Tensor:
    """Weight of each sample from the size of its cluster, ``w_c ~ 1 / sqrt(N_c)``.

    Args:
        sizes: (B,) int64, the number of samples in the cluster of each sample, at least 1.

    Returns:
        (B,) fp32 weights. Their scale is arbitrary, because the loss divides by their sum.
    """
    return sizes.float().rsqrt()
