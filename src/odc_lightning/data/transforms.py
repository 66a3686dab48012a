"""The usual evaluation transform, which torchvision has no single class for."""

from __future__ import annotations

from torchvision.transforms import v2


def resize_and_center_crop(size: int) -> v2.Compose:
    """The usual evaluation view: resize to 256 and crop to 224, in proportion for other sizes."""
    return v2.Compose([v2.Resize(round(size * 256 / 224)), v2.CenterCrop(size)])
