"""Patches of scikit-learn's two sample photographs: colour images with nothing to download."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

from odc_lightning.data.sources import ArraySource

Split = Literal["train", "val"]

# The right quarter of each photograph is for validation: no pixel is in both splits.
TRAIN_SHARE = 0.75


def photo_patches(split: Split, size: int = 32, stride: int = 8) -> ArraySource:
    """Square patches of photographs of a Chinese temple and of a flower, 427 x 640 pixels each.

    Patches of the left three quarters are for training, patches of the right quarter for
    validation. The label is the photograph. Patches overlap if `stride` is less than `size`.

    Args:
        size: side of a patch in pixels.
        stride: pixels from one patch to the next, down and to the right.

    Raises:
        ValueError: for another split, or if `size` and `stride` give no patches.
    """
    if split not in ("train", "val"):
        raise ValueError(f"split={split!r}; expected train or val")
    data = load_sample_images()
    parts = [_part(photo, split) for photo in data.images]
    if not 1 <= size <= min(min(part.shape[:2]) for part in parts) or stride < 1:
        raise ValueError(
            f"size={size}, stride={stride}; expected a patch that fits into "
            f"{parts[0].shape[0]} x {parts[0].shape[1]} pixels and a stride of at least 1"
        )
    patches = [_patches(part, size, stride) for part in parts]
    labels = np.repeat(np.arange(len(patches)), [len(some) for some in patches])
    names = [str(name).removesuffix(".jpg") for name in data.filenames]
    names = [name.replace("\\", "/").rpartition("/")[2] for name in names]
    return ArraySource(np.concatenate(patches), f"photo_patches/{split}", labels, names)


def _part(photo: NDArray[np.uint8], split: Split) -> NDArray[np.uint8]:
    """The columns of a photograph (H, W, 3) that belong to a split."""
    border = int(photo.shape[1] * TRAIN_SHARE)
    return photo[:, :border] if split == "train" else photo[:, border:]


def _patches(photo: NDArray[np.uint8], size: int, stride: int) -> NDArray[np.uint8]:
    """All patches (N, size, size, 3) of a photograph, row by row."""
    windows = sliding_window_view(photo, (size, size), axis=(0, 1))[::stride, ::stride]
    return np.ascontiguousarray(windows.reshape(-1, 3, size, size).transpose(0, 2, 3, 1))
