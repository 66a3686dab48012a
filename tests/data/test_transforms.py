"""The evaluation view: which part of the image it shows, and at which scale; and lighting."""

import numpy as np
import pytest
import torch
from PIL import Image

from odc_lightning.data import Lighting, resize_and_center_crop


@pytest.mark.parametrize("size", [224, 112])
def test_centre_of_the_image_whose_shorter_side_is_256(size: int) -> None:
    """Of 512 x 256 pixels the middle 224 x 224; at other sizes the same part of the image."""
    ramp = np.broadcast_to(np.arange(512) // 2, (256, 512)).astype(np.uint8)
    view = np.asarray(resize_and_center_crop(size)(Image.fromarray(ramp)))
    assert view.shape == (size, size)
    left, right = (512 - 224) // 2, (512 + 224) // 2
    assert view[0, 0] == pytest.approx(left / 2, abs=1)
    assert view[-1, -1] == pytest.approx((right - 1) / 2, abs=1)


def test_lighting_is_noise_along_the_principal_components_of_colours() -> None:
    """The variance along an eigenvector is the square of 0.1 times its eigenvalue."""
    vectors = torch.tensor(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )
    image = torch.rand(3, 4, 5)
    torch.manual_seed(0)
    noise = torch.stack([Lighting(std=0.1)(image) - image for _ in range(4000)])
    assert (noise.flatten(2).std(dim=2) < 1e-6).all()  # one colour for all pixels
    along = noise[:, :, 0, 0] @ vectors
    spread = along.std(dim=0)
    torch.testing.assert_close(spread, torch.tensor([0.02175, 0.00188, 0.00045]), rtol=0.05, atol=0)
    torch.manual_seed(0)
    again = Lighting(std=0.1)(image) - image
    torch.testing.assert_close(again, noise[0], rtol=0, atol=0)


def test_lighting_refuses_images_of_8_bits() -> None:
    with pytest.raises(ValueError, match="put it after ToDtype"):
        Lighting()(torch.zeros(3, 4, 4, dtype=torch.uint8))
