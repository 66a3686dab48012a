"""Conversion of sRGB to CIE Lab and to gray of the same lightness (IEC 61966-2-1, D65)."""

from functools import cache

import torch
from torch import Tensor

# From linear sRGB to XYZ.
XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
# Below BEND CIE replaces the cube root by a straight line.
BEND = 6 / 29


def srgb_to_lab(images: Tensor) -> Tensor:
    """Convert sRGB to Lab: L from 0 to 100, a from green to red, b from blue to yellow.

    Args:
        images: sRGB (..., 3, H, W) in [0, 1].

    Returns:
        Lab (..., 3, H, W). The white point is that of the matrix, so white is (100, 0, 0) and every
        gray is (L, 0, 0).
    """
    matrix = _matrix(images.device, images.dtype)
    linear = _to_linear(images)
    xyz = torch.einsum("ij,...jhw->...ihw", matrix / matrix.sum(dim=1, keepdim=True), linear)
    root = torch.where(
        xyz > BEND**3,
        xyz.clamp(min=BEND**3) ** (1 / 3),
        xyz / (3 * BEND**2) + 4 / 29,
    )
    x, y, z = root.unbind(dim=-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def gray_of_same_lightness(images: Tensor) -> Tensor:
    """Convert images to gray images of the same lightness L.

    Args:
        images: sRGB (..., 3, H, W) in [0, 1].

    Returns:
        sRGB (..., 3, H, W) with three equal channels.
    """
    weights = _matrix(images.device, images.dtype)[1]
    luminance = torch.einsum("j,...jhw->...hw", weights / weights.sum(), _to_linear(images))
    return _from_linear(luminance).unsqueeze(-3).expand_as(images)


@cache
def _matrix(device: torch.device, dtype: torch.dtype) -> Tensor:
    """`XYZ`, copied to a device once: each copy would let the host wait for it."""
    return torch.tensor(XYZ, device=device, dtype=dtype)


def _to_linear(srgb: Tensor) -> Tensor:
    """Undo the gamma of sRGB."""
    return torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055).clamp(min=0) ** 2.4, srgb / 12.92)


def _from_linear(linear: Tensor) -> Tensor:
    """Apply the gamma of sRGB."""
    curve = 1.055 * linear.clamp(min=0) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, 12.92 * linear)
