"""The evaluation view: which part of the image it shows, and at which scale."""

import numpy as np
import pytest
from PIL import Image

from odc_lightning.data import resize_and_center_crop


@pytest.mark.parametrize("size", [224, 112])
def test_centre_of_the_image_whose_shorter_side_is_256(size: int) -> None:
    """Of 512 x 256 pixels the middle 224 x 224; at other sizes the same part of the image."""
    ramp = np.broadcast_to(np.arange(512) // 2, (256, 512)).astype(np.uint8)
    view = np.asarray(resize_and_center_crop(size)(Image.fromarray(ramp)))
    assert view.shape == (size, size)
    left, right = (512 - 224) // 2, (512 + 224) // 2
    assert view[0, 0] == pytest.approx(left / 2, abs=1)
    assert view[-1, -1] == pytest.approx((right - 1) / 2, abs=1)
