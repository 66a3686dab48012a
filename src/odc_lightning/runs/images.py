"""The images of a finished run, found by the names that the run recorded.

Images that were added since do not matter, and missing ones keep their place in `RunImages`.
"""

import inspect
import logging
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
from omegaconf import DictConfig
from PIL import Image
from pytorch_lightning.utilities import rank_zero_only

from odc_lightning.checkpoints import TrainingRun, build, building, refuse_unknown_targets
from odc_lightning.data import FileSource, ImageSource, SubsetSource
from odc_lightning.data.decoding.copies import SizeOfCopy
from odc_lightning.data.decoding.images import Reading, reading_of
from odc_lightning.data.scan import scan_source
from odc_lightning.data.subset import chosen_part
from odc_lightning.runs.locate import locate
from odc_lightning.utils.home import expanded
from odc_lightning.utils.text import printable

log = logging.getLogger(__name__)

_DATA = "the run's data"  # in messages
_SHOWN = 5  # names in a message


class RunImages(ImageSource):
    """The images of a run in its order; loading a missing one fails."""

    def __init__(self, source: ImageSource, names: Sequence[str]) -> None:
        """Look up each name.

        Args:
            source: the images as they are today.
            names: N names from `index.csv`.
        """
        rows = {source.name(index): index for index in range(len(source))}
        found = np.array([rows.get(name, -1) for name in names], dtype=np.int64)
        entries = cache(_entries)
        for place, row in enumerate(found.tolist()):
            path = source.path(row) if row >= 0 else None
            if path is not None and path.name not in entries(path.parent):
                found[place] = -1
        self.source = source
        self.names = names
        self.found = [None if row < 0 else row for row in found.tolist()]
        self.class_names = source.class_names
        self.reading = source.reading
        if source.labels is not None:
            self.labels = np.where(found < 0, -1, source.labels[found])
        if source.objects is not None:
            self.objects = np.where(found[:, None] < 0, 0, source.objects[found]).astype(np.int8)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> Image.Image:
        row = self.found[index]
        if row is None:
            raise ValueError(f"{printable(self.names[index])} no longer exists")
        return self.source.load(row)

    def name(self, index: int) -> str:
        return self.names[index]

    def path(self, index: int) -> Path | None:
        row = self.found[index]
        return None if row is None else self.source.path(row)

    def read_as(self, reading: Reading) -> Self:
        self.source.read_as(reading)
        return super().read_as(reading)

    def in_copies(self, size_of_copy: SizeOfCopy | None) -> Self:
        twin = super().in_copies(size_of_copy)
        twin.source = self.source.in_copies(size_of_copy)
        return twin


def _entries(folder: Path) -> frozenset[str]:
    """Names in a folder: on network drives, thousands of checks of single files take minutes."""
    try:
        return frozenset(entry.name for entry in folder.iterdir())
    except OSError:
        return frozenset()


def as_read_by(data: DictConfig, run: TrainingRun) -> DictConfig:
    """A config of other images, read like those of a run.

    The range of values is the run's if the config has none, and the larger limit of pixels holds.
    """
    given, of_run = reading_of(data), reading_of(run.config.data)
    data = data.copy()
    data.value_range = given.value_range or of_run.value_range
    data.max_pixels = max(given.max_pixels, of_run.max_pixels)
    return data


def build_images(data: DictConfig) -> ImageSource:
    """The training images alone, without validation split, transforms and scan."""
    with building(_DATA):
        source: ImageSource = build(data.train, _DATA)()
        return chosen_part(source.read_as(reading_of(data)), data.get("subset"))


def images_of_run(
    data: DictConfig, names: Sequence[str] | None, num_samples: int | None = None
) -> ImageSource:
    """The images in the order of the run, missing ones included.

    Args:
        data: the config of the run's data; it is instantiated, so check its targets first.
        names: the names that the run recorded; None if it did not.
        num_samples: N, the number of clustered images; None if it does not matter.

    Raises:
        ValueError: images and labels differ in number, or none of the run's images exists.
    """
    if names is None:
        source = build_images(data)
        if num_samples not in (None, len(source)):
            raise ValueError(
                f"the run clustered {num_samples} images, but data has {len(source)}; without an "
                "index.csv of the run they cannot be matched. Give the folder of the run's own "
                "images with images=FOLDER"
            )
        return source
    if num_samples not in (None, len(names)):
        raise ValueError(
            f"the run's index.csv names {len(names)} images, but its checkpoint clusters "
            f"{num_samples}; expected both files of the same run"
        )
    try:
        source = _source(data, names)
    except ValueError as error:
        raise ValueError(f"{error}. If the run's images have moved, add images=FOLDER") from error
    images = RunImages(source, names)
    if all(row is None for row in images.found):
        raise ValueError(
            f"none of the run's {len(names)} images was found, for example "
            f"{printable(names[0]) if names else 'none'}; give the folder that they are in now "
            "with images=FOLDER"
        )
    return images


def _source(data: DictConfig, names: Sequence[str]) -> ImageSource:
    """A source that has the run's images, and perhaps others.

    Images in folders are not searched, because files that were added since could make the search
    fail. Those of a subset are, since its classes keep their numbers. If a list of files is gone,
    the names replace it; only its labels are lost.
    """
    with building(_DATA):
        return _built_source(data, names)


def _built_source(data: DictConfig, names: Sequence[str]) -> ImageSource:
    listing, root = (data.train.get(key) for key in ("path", "root"))
    if listing is not None and not expanded(listing).is_file():
        folder = expanded(listing).parent if root is None else expanded(root)
        return FileSource(folder, names).read_as(reading_of(data))
    builder = build(data.train, _DATA)
    if data.get("subset") is None and "names" in inspect.signature(builder).parameters:
        source: ImageSource = builder(names=names)
    else:
        source = builder()
    return source.read_as(reading_of(data))


def present_images(images: ImageSource, faults: Mapping[Path, str] | None = None) -> SubsetSource:
    """The images that exist and have no fault; the others are reported.

    Args:
        images: of the run, from `images_of_run`.
        faults: path of a damaged file -> what is wrong with it.

    Returns:
        The images that are left; their ``indices`` are rows of ``images``.

    Raises:
        ValueError: no image is left.
    """
    kept: list[int] = []
    lost: list[str] = []
    for index in range(len(images)):
        if isinstance(images, RunImages) and images.found[index] is None:
            lost.append(f"{printable(images.name(index))} (missing)")
            continue
        path = images.path(index)
        fault = None if path is None or faults is None else faults.get(path)
        if fault is None:
            kept.append(index)
        else:
            lost.append(f"{printable(images.name(index))} ({printable(fault)})")
    shown = ", ".join(lost[:_SHOWN]) + (", ..." if len(lost) > _SHOWN else "")
    if not kept:
        raise ValueError(f"none of the run's {len(images):,} images can be read: {shown}")
    if lost:
        rank_zero_only(log.warning)(
            "%s of the %s images of the run are missing or damaged and are left out: %s. If they "
            "have moved, add images=FOLDER",
            f"{len(lost):,}",
            f"{len(images):,}",
            shown,
        )
    return SubsetSource(images, np.array(kept, dtype=np.int64))


def training_images(
    run: TrainingRun, folder: str | None = None, trusted: bool = False
) -> SubsetSource:
    """The run's training images that can be read, in its order; see `present_images`.

    Args:
        run: to read.
        folder: the folder that they are in now; None if they have not moved.
        trusted: build whatever the run's config names, which can run arbitrary code.

    Raises:
        ValueError: none of the images can be read.
    """
    data: DictConfig = run.config.data
    data.val = None
    locate(data, run, folder)
    if not trusted:
        refuse_unknown_targets(data, str(run.checkpoint))
    try:
        images = images_of_run(data, run.image_names())
        faults = dict(scan_source(images, data.get("scan", "quick"), reading_of(data)))
        return present_images(images, faults)
    except ValueError as error:
        raise ValueError(
            f"the training images of {run.folder} are needed once, and cannot be loaded: {error}"
        ) from error
