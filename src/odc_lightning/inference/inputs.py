"""Batches from images of several kinds: files, Pillow images, tensors."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from odc_lightning.data.decoding.images import Reading, read_rgb, to_rgb
from odc_lightning.utils.home import expanded

AnyImage = Image.Image | str | Path
Images = AnyImage | Sequence[AnyImage] | Tensor


def image_batches(
    images: Images,
    transform: Callable[[Image.Image], Tensor],
    batch_size: int,
    reading: Reading,
) -> Iterator[Tensor]:
    """Batches (b, 3, H, W) fp32, in the order of the images.

    Args:
        images: one file or Pillow image, or several; or a floating-point tensor (B, 3, H, W) of
            transformed images, which is used as it is.
        transform: applied to all images that are not tensors.
        batch_size: b; the last batch may be smaller.
        reading: how files are read, and Pillow images of more than 8 bits.

    Raises:
        ValueError: there are no images, or one cannot be read.
    """
    if isinstance(images, Tensor):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"images are a tensor {tuple(images.shape)} of {images.dtype}; expected a "
                "floating-point tensor (B, 3, H, W) of transformed images, or files, or Pillow "
                "images"
            )
        several: Any = images.float()
    elif isinstance(images, str | Path | Image.Image):
        several = [images]
    else:
        several = images
    if len(several) == 0:
        raise ValueError("there are no images; expected at least one")
    for start in range(0, len(several), batch_size):
        batch = several[start : start + batch_size]
        if isinstance(batch, Tensor):
            yield batch
        else:
            yield torch.stack([transform(_read(image, reading)) for image in batch])


def _read(image: AnyImage, reading: Reading) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(image, reading)
    if not isinstance(image, str | Path):
        raise ValueError(
            f"an image is of type {type(image).__name__}; expected a path or a Pillow image"
        )
    path = expanded(image)
    try:
        return read_rgb(path, reading)
    except Exception as error:  # Pillow's decoders raise anything from OSError to struct.error
        raise ValueError(f"cannot read the image {path}: {error}") from error
