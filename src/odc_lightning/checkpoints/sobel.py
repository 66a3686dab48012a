"""The Sobel filter in checkpoints of DeepCluster and VISSL, where it is a layer like others."""

import torch
from torch import Tensor

from odc_lightning.models import Backbone, Sobel
from odc_lightning.models.sobel import KERNELS

SOBEL = "sobel."
# A convolution to grey, and one to the two gradients.
_FILTER = {
    "sobel.0.weight": torch.full((1, 3, 1, 1), 1 / 3),
    "sobel.0.bias": torch.zeros(1),
    "sobel.1.weight": torch.tensor(KERNELS).unsqueeze(1),
    "sobel.1.bias": torch.zeros(2),
}


def check_filter(name: str, weight: Tensor, backbone: Backbone) -> None:
    """See that a weight of the file's filter is that of the filter here.

    Raises:
        ValueError: if it is not, or if the backbone has no such filter.
    """
    if not isinstance(getattr(backbone, "sobel", None), Sobel):
        raise ValueError(
            f"the checkpoint's network has a Sobel filter in front, and {backbone.name} has none: "
            "add model.backbone.sobel=true"
        )
    expected = _FILTER.get(name)
    if expected is None or weight.shape != expected.shape or not weight.float().allclose(expected):
        raise ValueError(
            f"{name} of the checkpoint, {weight.flatten()[:9].tolist()}, is not that of the Sobel "
            "filter here, so its network saw other images than this one would"
        )
