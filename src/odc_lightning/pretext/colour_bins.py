"""Colours as classes, and the weight of each (Zhang, Isola and Efros, ECCV 2016, Sec. 2)."""

import functools
import math

import torch
from torch import Tensor

from odc_lightning.pretext.colour import srgb_to_lab

GRID = 10  # of a and b
NUM_NEIGHBOURS = 5
SIGMA = 5.0  # of the soft encoding, and of the prior's smoothing
MIX = 0.5  # lambda, of the uniform distribution in the prior


@functools.cache
def gamut_bins() -> Tensor:
    """Centres (Q, 2) of the cells of a 10 x 10 grid of a and b that sRGB reaches: Q = 261.

    A cell counts if an 8-bit colour lies in it. Those on the faces of the RGB cube are enough:
    whatever lies inside has one of the same a and b on them. (The paper has 313, its gamut is
    wider than sRGB's.)
    """
    levels = torch.arange(256, dtype=torch.float64) / 255
    one, other = (face.flatten() for face in torch.meshgrid(levels, levels, indexing="ij"))
    colours = []
    for channel in range(3):
        for level in (0.0, 1.0):
            planes = [one, other]
            planes.insert(channel, torch.full_like(one, level))
            colours.append(torch.stack(planes))
    ab = srgb_to_lab(torch.cat(colours, dim=1).unsqueeze(-1))[1:, :, 0]
    return torch.unique((ab / GRID).round().T, dim=0).mul(GRID).float()


def soft_encode(ab: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
    """Each colour as a distribution over its five nearest bins, weighted by a Gaussian.

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
    """The paper's Eq. 4: rare colours count for more, else everything comes out grayish.

    With p the smoothed frequency of the bins, ``w ~ 1 / ((1 - lambda) p + lambda / Q)``, and the
    mean of w under p is 1.

    Args:
        counts: (Q,), how often each bin is the nearest one.
        bins: (Q, 2).

    Returns:
        w (Q,).
    """
    kernel = torch.exp(-torch.cdist(bins, bins).square() / (2 * SIGMA**2))
    prior = (kernel / kernel.sum(dim=0)) @ (counts / counts.sum()).to(kernel.dtype)
    weights = 1 / ((1 - MIX) * prior + MIX / len(bins))
    return weights / (prior * weights).sum()


def weighted_target(ab: Tensor, bins: Tensor, weights: Tensor) -> Tensor:
    """The soft encoding of each colour times the weight of its nearest bin: Eq. 2 and 3.

    Args:
        ab: (B, 2, h, w).
        bins: (Q, 2).
        weights: (Q,).

    Returns:
        (B, Q, h, w); a cross-entropy with it is the weighted one.
    """
    encoded, nearest = soft_encode(ab, bins)
    return encoded * weights[nearest].unsqueeze(1)


def constant_loss(target: Tensor) -> float:
    """The weighted cross-entropy of the best prediction that is the same for every colour.

    That is the mean target itself, brought to a sum of one.

    Args:
        target: of `weighted_target`, (B, Q, h, w).
    """
    mean = target.double().mean(dim=(0, 2, 3))
    total = mean.sum()
    return float(total * math.log(total) - torch.xlogy(mean, mean).sum())


def mean_chroma(images: Tensor) -> float:
    """How far from gray colours are on average, as a length in a and b.

    Args:
        images: sRGB (B, 3, H, W) from 0 to 1.
    """
    return float(srgb_to_lab(images)[:, 1:].norm(dim=1).mean())
