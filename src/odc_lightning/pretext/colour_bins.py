"""Colour classes and their weights (Zhang, Isola and Efros, ECCV 2016, Sec. 2)."""

import functools
import math

import torch
from torch import Tensor

from odc_lightning.pretext.colour import srgb_to_lab

GRID = 10  # side of a cell in a and b
NUM_NEIGHBOURS = 5
SIGMA = 5.0  # of the soft encoding and of the smoothed prior
MIX = 0.5  # lambda, the share of the uniform distribution in the prior


@functools.cache
def gamut_bins() -> Tensor:
    """Compute the centres (Q, 2) of all grid cells of a and b that contain an sRGB colour.

    Cells are 10 x 10 and Q is 261; the paper has 313, for a gamut wider than that of sRGB. A cell
    counts if it contains an 8-bit colour on a face of the RGB cube: for every colour inside the
    cube, a colour on a face has the same a and b.
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    first, second = (axis.flatten() for axis in torch.meshgrid(levels, levels, indexing="ij"))
    colours = []
    for channel in range(3):
        for level in (0.0, 1.0):
            planes = [first, second]
            planes.insert(channel, torch.full_like(first, level))
            colours.append(torch.stack(planes))
    ab = srgb_to_lab(torch.cat(colours, dim=1).unsqueeze(-1))[1:, :, 0]
    return torch.unique((ab / GRID).round().T, dim=0).mul(GRID).float()


def soft_encode(ab: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """Encode each colour as a distribution over its five nearest bins, weighted by a Gaussian.

    Args:
        ab: (B, 2, h, w).
        bins: (Q, 2).

    Returns:
        Distributions (B, Q, h, w), and the nearest bin of each colour (B, h, w) int64.
    """
    rows = ab.movedim(1, -1)
    distances, nearest = torch.cdist(rows.flatten(0, 2), bins).topk(NUM_NEIGHBOURS, largest=False)
    shares = torch.softmax(-distances.square() / (2 * SIGMA**2), dim=1)
    encoded = shares.new_zeros(len(shares), len(bins)).scatter_(1, nearest, shares)
    return encoded.view(*rows.shape[:3], -1).movedim(-1, 1), nearest[:, 0].view(rows.shape[:3])


def rebalancing_weights(counts: Tensor, bins: Tensor) -> Tensor:
    """Compute weights that favour rare colours (Eq. 4); without them predictions are grayish.

    With p the smoothed frequency of the bins, ``w ~ 1 / ((1 - lambda) p + lambda / Q)``, scaled
    such that the mean of w under p is 1.

    Args:
        counts: (Q,), number of colours whose nearest bin it is.
        bins: (Q, 2).

    Returns:
        Weights w (Q,).
    """
    kernel = torch.exp(-torch.cdist(bins, bins).square() / (2 * SIGMA**2))
    prior = (kernel / kernel.sum(dim=0)) @ (counts / counts.sum()).to(kernel.dtype)
    weights = 1 / ((1 - MIX) * prior + MIX / len(bins))
    return weights / (prior * weights).sum()


def weighted_target(ab: Tensor, bins: Tensor, weights: Tensor) -> Tensor:
    """Multiply the soft encoding of each colour by the weight of its nearest bin (Eq. 2 and 3).

    Args:
        ab: (B, 2, h, w).
        bins: (Q, 2).
        weights: (Q,).

    Returns:
        (B, Q, h, w); the cross-entropy with this target is the weighted cross-entropy.
    """
    encoded, nearest = soft_encode(ab, bins)
    return encoded * weights[nearest].unsqueeze(1)


def constant_loss(target: Tensor) -> float:
    """Compute the weighted cross-entropy of the best constant prediction.

    That prediction is the mean target, scaled to a sum of one.

    Args:
        target: (B, Q, h, w), from `weighted_target`.
    """
    mean = target.double().mean(dim=(0, 2, 3))
    total = mean.sum()
    return float(total * math.log(total) - torch.xlogy(mean, mean).sum())


def mean_chroma(images: Tensor) -> float:
    """Compute the mean chroma, the distance of a colour from gray in the plane of a and b.

    Args:
        images: sRGB (B, 3, H, W) in [0, 1].
    """
    return float(srgb_to_lab(images)[:, 1:].norm(dim=1).mean())
