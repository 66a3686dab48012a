"""The Sobel filter in checkpoints of DeepCluster and VISSL, which save it as a layer."""

import torch
from torch import Tensor

from odc_lightning.models import Backbone, Sobel
from odc_lightning.models.sobel import KERNELS

SOBEL = "sobel."
# A convolution to gray, and one to the two gradients.
_FILTER = {
    "sobel.0.weight": torch.full((1, 3, 1, 1), 1 / 3),
    "sobel.0.bias": torch.zeros(1),
    "sobel.1.weight": torch.tensor(KERNELS).unsqueeze(1),
    "sobel.1.bias": torch.zeros(2),
}


def check_filter(name: str, weight: Tensor, backbone: Backbone) -> None:
    """Check that a weight of the file's Sobel filter equals the backbone's.

    Raises:
        ValueError: if it differs, or if the backbone has no such filter.
    """
    if not isinstance(getattr(backbone, "sobel", None), Sobel):
        raise ValueError(
            f"the checkpoint's network starts with a Sobel filter, and {backbone.name} has none; "
            "add model.backbone.sobel=true"
        )
    expected = _FILTER.get(name)
    if expected is None or weight.shape != expected.shape or not weight.float().allclose(expected):
        raise ValueError(
            f"{name} of the checkpoint is {weight.flatten()[:9].tolist()}; expected the weights of "
            "this package's Sobel filter. With another filter the network would get other inputs "
            "than it was trained on"
        )
