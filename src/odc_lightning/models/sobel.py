"""The Sobel filter in front of a network, which removes colour (Sec. 3.4; DeepCluster)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# The gradient to the right and the gradient downwards.
KERNELS = (
    ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0)),
    ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0)),
)


class Sobel(nn.Module):
    """Two fixed gradients of the mean over the colours, as in the public DeepCluster code.

    The filter never changes, so it is a buffer that is not saved in checkpoints.
    """

    out_channels = 2

    def __init__(self) -> None:
        super().__init__()
        self.kernels: Tensor
        self.register_buffer("kernels", torch.tensor(KERNELS).unsqueeze(1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into gradients (B, 2, H, W); edges are padded with zeros."""
        return F.conv2d(images.mean(dim=1, keepdim=True), self.kernels, padding=1)
