"""Transforms that torchvision has no single class for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

# Of the covariance of ImageNet's colours in [0, 1]; the eigenvectors are columns.
EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
EIGENVECTORS = torch.tensor(
    [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
)


# The filters for resizing, by Pillow's names and numbers.
RESAMPLING = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def resize_and_center_crop(size: int, interpolation: str = "bilinear") -> v2.Compose:
    """The usual evaluation view: resize to 256 and crop to 224, in proportion for other sizes.

    Args:
        size: side of the crop, in pixels.
        interpolation: a name in `RESAMPLING`.
    """
    resize = v2.Resize(round(size * 256 / 224), v2.InterpolationMode(interpolation))
    return v2.Compose([resize, v2.CenterCrop(size)])


class Lighting(v2.Transform):
    """Colour noise along the principal components of ImageNet's colours.

    Krizhevsky, Sutskever and Hinton, NeurIPS 2012, Sec. 4.1: all pixels of an image get one colour
    added, the sum of a_i λ_i v_i over the three eigenvalues and eigenvectors, with a_i from
    N(0, std). Goyal et al. (ICCV 2019) and OpenSelfSup train linear classifiers with it.

    Args:
        std: standard deviation of the three factors a_i.
    """

    def __init__(self, std: float = 0.1) -> None:
        super().__init__()
        self.std = std

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the colour (3,)."""
        return {"colour": EIGENVECTORS @ (EIGENVALUES * self.std * torch.randn(3))}

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        """Add the colour to an image (3, H, W) in [0, 1], without clipping.

        Raises:
            ValueError: the image is not a tensor of floats.
        """
        if not (isinstance(inpt, Tensor) and inpt.is_floating_point()):
            raise ValueError(
                "Lighting adds to colours in [0, 1] and got 8-bit ones; put it after ToDtype"
            )
        return inpt + params["colour"].to(inpt).view(3, 1, 1)
