"""The images of a finished run: verified to be unchanged, or by the names that the run recorded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from omegaconf import DictConfig
from PIL import Image

from odc_lightning.checkpoints import TrainingRun, build, building, refuse_unknown_targets
from odc_lightning.data import ImageDataModule, ImageSource
from odc_lightning.data.subset import subset_of


def training_images(
    run: TrainingRun, root: str | None = None, trusted: bool = False
) -> ImageSource:
    """The run's training images, in its order.

    Args:
        run: to read.
        root: the folder that they are in now; None if they have not moved.
        trusted: build whatever the run's config names, which can run arbitrary code.

    Raises:
        ValueError: the images are missing, or differ from those of the run.
    """
    config = _data(run, root)
    if not trusted:
        refuse_unknown_targets(config, str(run.checkpoint))
    what = f"data in {run.folder / 'config.yaml'}"
    data: ImageDataModule = build(config, what)
    try:
        with building(what):
            data.setup("predict")
    except ValueError as error:
        raise ValueError(
            f"the training images of {run.folder} are needed once, and cannot be loaded: {error}. "
            "If they have moved, add images=FOLDER; if their path is relative, run the command in "
            "the folder where the training was started"
        ) from error
    source = data.train_dataset.source
    _check_names(source, run)
    return source


def _data(run: TrainingRun, root: str | None) -> DictConfig:
    """The config of the run's training images, with ``root`` in place of the original folder."""
    data: DictConfig = run.config.data
    data.val = None
    if root is not None:
        old = str(data.root)
        for key, value in data.train.items():
            if value == old or str(value).startswith(f"{old}/"):
                data.train[key] = root + str(value).removeprefix(old)
        data.root = root
    return data


def _check_names(source: ImageSource, run: TrainingRun) -> None:
    """Raise a ValueError if the images are not those that the run listed."""
    known = run.image_names()
    if known is None:
        return
    here = [source.name(index) for index in range(len(source))]
    if here == known:
        return
    different = [pair for pair in zip(known, here, strict=False) if pair[0] != pair[1]]
    first = ""
    if different:
        first = f" (first difference: expected {different[0][0]!r}, got {different[0][1]!r})"
    raise ValueError(
        f"{run.folder} was trained on {len(known):,} images, but there are {len(here):,} "
        f"now{first}; restore them, or give their folder with images=FOLDER"
    )


class RunImages(ImageSource):
    """The images of a run by the names that it recorded; loading a missing one fails."""

    def __init__(self, source: ImageSource, names: Sequence[str]) -> None:
        """Look up each name.

        Args:
            source: the images as they are today.
            names: N names from `index.csv`.
        """
        rows = {source.name(index): index for index in range(len(source))}
        self.source = source
        self.names = names
        self.found = [rows.get(name) for name in names]
        self.class_names = source.class_names
        if source.labels is not None:
            known = [-1 if row is None else int(source.labels[row]) for row in self.found]
            self.labels = np.array(known, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def load(self, index: int) -> Image.Image:
        row = self.found[index]
        if row is None:
            raise ValueError(f"{self.names[index]} no longer exists")
        return self.source.load(row)

    def name(self, index: int) -> str:
        return self.names[index]

    def path(self, index: int) -> Path | None:
        row = self.found[index]
        return None if row is None else self.source.path(row)


def build_images(data: DictConfig) -> ImageSource:
    """The training images alone, without validation split, transforms and scan."""
    what = "the run's data"
    with building(what):
        source: ImageSource = build(data.train, what)()
        return source if data.get("subset") is None else subset_of(source, **data.subset)


def images_of_run(
    source: ImageSource, names: Sequence[str] | None, num_samples: int
) -> ImageSource:
    """The images in the order of the run.

    Args:
        source: the images as they are today.
        names: the names that the run recorded; None if it did not.
        num_samples: N, the number of clustered images.

    Raises:
        ValueError: images and labels differ in number, or none of the run's images exists.
    """
    if names is None:
        if len(source) != num_samples:
            raise ValueError(
                f"the run clustered {num_samples} images, but data has {len(source)}; without an "
                "index.csv of the run they cannot be matched. Give the run's own images with "
                "data.root=..."
            )
        return source
    if len(names) != num_samples:
        raise ValueError(
            f"the run's index.csv names {len(names)} images, but its checkpoint clusters "
            f"{num_samples}; expected both files of the same run"
        )
    images = RunImages(source, names)
    if all(row is None for row in images.found):
        raise ValueError(
            f"none of the run's {num_samples} images was found, for example {names[0]}; give the "
            "folder that they are in now with +data.root=..."
        )
    return images
