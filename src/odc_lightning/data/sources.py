"""Image sources: arrays in memory, files on disk, or a part of another source."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from odc_lightning.data.decoding.copies import Size, SizeOfCopy
from odc_lightning.data.decoding.images import Reading, read_rgb, read_size
from odc_lightning.data.files.search import PassedOver
from odc_lightning.utils.arrays import IntArray

ObjectArray = NDArray[np.int8]


class ImageSource(ABC):
    """N images in a fixed order; a pseudo-label is stored at the index of its image.

    Attributes:
        labels: true classes (N,), -1 where unknown, or None. They are for scoring; training never
            sees them.
        objects: for images that show several classes, (N, C): 1 if the image shows the class, -1
            if it does not, 0 if it is difficult to recognise, as in VOC's lists; else None.
        class_names: the name of each class, or None.
        passed_over: the account of files that are not among the images, if there was a search.
        reading: how files are read, see `read_as`.
    """

    labels: IntArray | None = None
    objects: ObjectArray | None = None
    class_names: list[str] | None = None
    passed_over: PassedOver | None = None
    reading: Reading = Reading()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def load(self, index: int) -> Image.Image:
        """The image at `index`, always 8-bit RGB and upright."""

    @abstractmethod
    def name(self, index: int) -> str:
        """The name of the image: a path below the root, or for example `digits/123`."""

    def path(self, index: int) -> Path | None:
        """The file of the image, or None if the image is in memory."""
        return None

    def size(self, index: int) -> Size:
        """Width and height of the image; of a file the header is read.

        Raises:
            ValueError: the file cannot be read. Pillow raises errors of many types.
        """
        path = self.path(index)
        if path is None:
            return self.load(index).size
        return read_size(path, self.reading.max_pixels)

    def read_as(self, reading: Reading) -> Self:
        """Read files in this way from now on; nothing changes for images in memory."""
        self.reading = reading
        return self

    def in_copies(self, size_of_copy: SizeOfCopy | None) -> Self:
        """The same images, of which files are read as smaller copies; see `read_rgb`.

        Args:
            size_of_copy: None: in full.
        """
        twin = copy(self)
        twin.reading = self.reading._replace(size_of_copy=size_of_copy)
        return twin


class ImageError(ValueError):
    """A file that cannot be read as an image.

    A dataloader worker's error reaches the main process as the text of a whole traceback; of that,
    only the message is kept.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rpartition(f"{type(self).__name__}: ")[2].rstrip())


class ArraySource(ImageSource):
    """Images in memory: gray (N, H, W) or colour (N, H, W, 3), uint8.

    Args:
        prefix: image i is named `prefix/i`.

    Raises:
        ValueError: for another type or shape, or labels that are not (N,).
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        prefix: str,
        labels: IntArray | None = None,
        class_names: list[str] | None = None,
    ) -> None:
        gray_or_rgb = images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)
        if images.dtype != np.uint8 or not gray_or_rgb:
            raise ValueError(
                f"images are {images.dtype} of shape {images.shape}; "
                "expected uint8 of shape (N, H, W) or (N, H, W, 3)"
            )
        self.images = images
        self.prefix = prefix
        self.labels = _checked_labels(labels, len(images))
        self.class_names = class_names

    def __len__(self) -> int:
        return len(self.images)

    def load(self, index: int) -> Image.Image:
        return Image.fromarray(self.images[index]).convert("RGB")

    def name(self, index: int) -> str:
        return f"{self.prefix}/{index}"


class FileSource(ImageSource):
    """Image files below `root`; a name may also be an absolute path.

    Raises:
        ValueError: for labels that are not (N,), or objects that are not (N, C) of -1, 0 and 1.
            `load` raises it, too, for a file that cannot be decoded.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str],
        labels: IntArray | None = None,
        class_names: list[str] | None = None,
        objects: ObjectArray | None = None,
    ) -> None:
        self.root = root
        self.names = names
        self.labels = _checked_labels(labels, len(names))
        self.class_names = class_names
        self.objects = _checked_objects(objects, len(names), class_names)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> Image.Image:
        path = self.path(index)
        try:
            return read_rgb(path, self.reading)
        except Exception as error:  # Pillow's decoders raise anything from OSError to struct.error
            raise ImageError(
                f"cannot decode {path}: {error}. data.scan=full finds every such file at the "
                "start, and data.on_error=skip leaves these out"
            ) from error

    def name(self, index: int) -> str:
        return self.names[index]

    def path(self, index: int) -> Path:
        return self.root / self.names[index]


class SubsetSource(ImageSource):
    """The images of `source` at `indices`, in that order; classes keep their numbers."""

    def __init__(self, source: ImageSource, indices: IntArray) -> None:
        self.source = source
        self.indices = indices
        self.labels = None if source.labels is None else source.labels[indices]
        self.objects = None if source.objects is None else source.objects[indices]
        self.class_names = source.class_names
        self.reading = source.reading

    def __len__(self) -> int:
        return len(self.indices)

    def load(self, index: int) -> Image.Image:
        return self.source.load(int(self.indices[index]))

    def name(self, index: int) -> str:
        return self.source.name(int(self.indices[index]))

    def path(self, index: int) -> Path | None:
        return self.source.path(int(self.indices[index]))

    def read_as(self, reading: Reading) -> Self:
        self.source.read_as(reading)
        return super().read_as(reading)

    def in_copies(self, size_of_copy: SizeOfCopy | None) -> Self:
        twin = super().in_copies(size_of_copy)
        twin.source = self.source.in_copies(size_of_copy)
        return twin


def _checked_labels(labels: IntArray | None, num_images: int) -> IntArray | None:
    if labels is None:
        return None
    if labels.shape != (num_images,):
        raise ValueError(f"labels have shape {labels.shape}; expected ({num_images},)")
    return labels.astype(np.int64)  # data sets have integers of various widths


def _checked_objects(
    objects: ObjectArray | None, num_images: int, class_names: list[str] | None
) -> ObjectArray | None:
    if objects is None:
        return None
    num_classes = None if class_names is None else len(class_names)
    if objects.ndim != 2 or objects.shape != (num_images, num_classes or objects.shape[1]):
        raise ValueError(
            f"objects have shape {objects.shape}; expected ({num_images}, {num_classes or 'C'}), "
            "one row per image and one column per class"
        )
    if len(unknown := np.setdiff1d(objects, (-1, 0, 1))) > 0:
        raise ValueError(
            f"objects have the values {unknown.tolist()}; "
            "expected 1 (shown), -1 (not shown) or 0 (difficult)"
        )
    return objects.astype(np.int8)
