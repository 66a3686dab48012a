"""The filter against DeepCluster's two convolutions, and against a picture one can see."""

import torch
from torch import nn

from odc_lightning.models import Sobel


def test_it_is_deepclusters_pair_of_convolutions() -> None:
    gray = nn.Conv2d(3, 1, kernel_size=1)
    nn.init.constant_(gray.weight, 1 / 3)
    nn.init.zeros_(gray.bias)  # type: ignore[arg-type]
    gradients = nn.Conv2d(1, 2, kernel_size=3, padding=1)
    kernels = [[[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], [[1, 2, 1], [0, 0, 0], [-1, -2, -1]]]
    gradients.weight.data = torch.tensor(kernels).unsqueeze(1)
    nn.init.zeros_(gradients.bias)  # type: ignore[arg-type]
    images = torch.randn(4, 3, 9, 7)
    torch.testing.assert_close(Sobel()(images), gradients(gray(images)))


def test_an_edge_shows_in_one_direction_only() -> None:
    image = torch.zeros(1, 3, 8, 8)
    image[..., 4:] = 1  # bright on the right
    across, down = Sobel()(image)[0, :, 1:-1, 1:-1]
    assert torch.equal(across[:, 2:4], torch.full((6, 2), -4.0))
    assert across[:, 0].abs().max() == 0
    assert down.abs().max() == 0


def test_nothing_is_learned_or_saved() -> None:
    assert not list(Sobel().parameters())
    assert not Sobel().state_dict()
