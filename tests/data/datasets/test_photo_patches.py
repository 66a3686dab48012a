"""Patches of the sample photographs: whole, labelled, and no pixel in both splits."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from odc_lightning.data import photo_patches


def test_patches_are_cut_out_of_the_photographs() -> None:
    photos = load_sample_images().images
    train, val = photo_patches("train"), photo_patches("val")
    assert (len(train), len(val)) == (2 * 50 * 57, 2 * 50 * 17)
    assert train.class_names == val.class_names == ["china", "flower"]
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [2850, 2850]
    row, column = 7, 12
    expected = photos[1][8 * row : 8 * row + 32, 8 * column : 8 * column + 32]
    assert (np.asarray(train.load(2850 + 57 * row + column)) == expected).all()
    expected = photos[0][8 * row : 8 * row + 32, 480 + 8 * column : 480 + 8 * column + 32]
    assert (np.asarray(val.load(17 * row + column)) == expected).all()
    assert train.name(3) == "photo_patches/train/3"


def test_no_pixel_is_in_both_splits() -> None:
    """The last column of training ends where the first of validation starts."""
    photo = load_sample_images().images[0]
    train, val = photo_patches("train", stride=32), photo_patches("val", stride=32)
    assert len(train) == 2 * 13 * 15
    assert (np.asarray(train.load(14)) == photo[:32, 448:480]).all()
    assert (np.asarray(val.load(0)) == photo[:32, 480:512]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "test"}, "split='test'; expected train or val"),
        ({"split": "val", "size": 161}, "size=161, stride=8; expected a patch that fits into 427"),
        ({"split": "train", "stride": 0}, "stride of at least 1"),
    ],
)
def test_what_cannot_be(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        photo_patches(**arguments)
