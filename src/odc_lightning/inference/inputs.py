"""Images as people have them: files, Pillow's images, tensors."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from odc_lightning.data.images import read_rgb, to_rgb

AnyImage = Image.Image | str | Path
Images = AnyImage | Sequence[AnyImage] | Tensor


def image_batches(
    images: Images, transform: Callable[[Image.Image], Tensor], batch_size: int
) -> Iterator[Tensor]:
    """Batches (b, 3, H, W) fp32, in the order of the images.

    Args:
        images: one file or image of Pillow, or several; or a tensor (B, 3, H, W) of floating-point
            numbers, which is taken as it is.
        transform: for what is no tensor.
        batch_size: b, but for the last batch.

    Raises:
        ValueError: there are none, or one cannot be read.
    """
    if isinstance(images, Tensor):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"images are a tensor {tuple(images.shape)} of {images.dtype}; expected "
                "transformed images (B, 3, H, W) of floating-point numbers, or files, or images of "
                "Pillow"
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
            yield torch.stack([transform(_read(image)) for image in batch])


def _read(image: AnyImage) -> Image.Image:
    if isinstance(image, Image.Image):
        return to_rgb(image.copy())  # which may be changed in place
    if not isinstance(image, str | Path):
        raise ValueError(f"an image is a {type(image).__name__}; expected a path or Pillow's image")
    path = Path(image).expanduser()
    try:
        return read_rgb(path)
    except Exception as error:  # Pillow's decoders raise anything from OSError to struct.error
        raise ValueError(f"cannot read the image {path}: {error}") from error
