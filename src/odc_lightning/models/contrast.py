"""The contrastive loss between views of images."""

import torch
import torch.nn.functional as F
from torch import Tensor


def contrast_losses(features: Tensor, num_views: int, temperature: float) -> Tensor:
    """The NT-Xent loss of each view: cross-entropy of finding an image's other views in the batch.

    Chen, Kornblith, Norouzi and Hinton, *A Simple Framework for Contrastive Learning of Visual
    Representations*, ICML 2020, Eq. 1; with more than two views the mean over the other views.

    Args:
        features: (B V, D), of any length; the V views of an image follow one another. With several
            ranks these are the features of one rank.
        num_views: V, 2 or more.
        temperature: divisor of the cosines.

    Returns:
        (B V,), one loss per view; ln (B V - 1) if all features are equal.
    """
    unit = F.normalize(features, dim=1)
    image = torch.arange(len(unit), device=unit.device) // num_views
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)
    positive = (image.unsqueeze(0) == image.unsqueeze(1)) & ~itself
    cosines = (unit @ unit.T).masked_fill(itself, -torch.inf)
    log_probabilities = F.log_softmax(cosines / temperature, dim=1)
    return -log_probabilities.masked_fill(~positive, 0).sum(dim=1) / (num_views - 1)
