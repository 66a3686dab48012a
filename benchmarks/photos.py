"""Section ``photos``: folders of photographs, decoded once or in every epoch.

Photographs of twelve megapixels and small ones become views of 224 pixels under
``conf/augmentation/adapt_views.yaml``, on one thread. Decoded images are kept in RAM or in a file,
as `data.cache` says. All files are different names of a few photographs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from benchmarks.pipeline import one_thread
from benchmarks.tables import Table, Target
from odc_lightning.config import CONFIG_DIR
from odc_lightning.data import IndexedDataset, image_folder, resize_and_center_crop
from odc_lightning.data.decoded_images import Cache, Room, decoded_once
from odc_lightning.data.views_of_copies import EnoughFor

NONE, RAM, DISK = "data.cache=none", "data.cache=ram", "data.cache=disk"
TORCHVISION = "torchvision's ImageFolder"
FASTER = 10  # at least, of later epochs of large photographs against none


View = Callable[[int, int], object]  # of an epoch and an index


class Photos(NamedTuple):
    """A folder: so many names of so many files of one size."""

    title: str
    names: int
    files: int
    size: tuple[int, int]


FULL = (
    Photos("400 photographs of 4000 × 3000", 400, 8, (4000, 3000)),
    Photos("20,000 photographs of 307 × 173", 20_000, 40, (307, 173)),
)
TINY = (Photos("6 photographs of 1200 × 900", 6, 2, (1200, 900)),)


def measure(quick: bool) -> Iterator[Table | Target]:
    """A table for each folder, and the target of large photographs."""
    for photos in TINY if quick else FULL:
        first, later = epochs(photos)
        yield Table(
            photos.title,
            ("way", "first epoch, images/s", "later epochs, images/s", "later / none"),
            [(way, first[way], later[way], later[way] / later[NONE]) for way in first],
            "One thread, augmentation=adapt_views at 224 pixels.",
        )
        if photos is FULL[0]:
            ratio = later[NONE] / later[RAM]
            yield Target(
                "photographs: a later epoch, kept in RAM / decoded again", ratio, 1 / FASTER
            )


def epochs(photos: Photos) -> tuple[dict[str, float], dict[str, float]]:
    """Images per second of the first epoch and of later ones, by way.

    Where nothing is kept, later epochs are as the first.
    """
    first: dict[str, float] = {}
    later: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, one_thread():
        write_photos(Path(folder) / "photos", photos)
        for way, view in ways(Path(folder)).items():
            for epoch, rates in enumerate((first, later) if way in (RAM, DISK) else (first,)):
                start = perf_counter()
                for index in range(photos.names):
                    view(epoch, index)
                rates[way] = photos.names / (perf_counter() - start)
            later.setdefault(way, first[way])
    return first, later


def ways(folder: Path) -> dict[str, View]:
    """The ways to make a view."""
    transform = views()
    enough = EnoughFor(transform, resize_and_center_crop(224), shorter_side=160)
    found: dict[str, View] = {}
    for way in (NONE, RAM, DISK):
        source = image_folder(str(folder))
        cache: Cache = way.partition("=")[2]  # type: ignore[assignment]
        kept, _ = decoded_once(source, enough, cache, Room(folder, 1))
        found[way] = partial(_view, IndexedDataset(kept, transform))
    theirs = ImageFolder(str(folder), transform)
    found[TORCHVISION] = lambda epoch, index: theirs[index]
    return found


def _view(dataset: IndexedDataset, epoch: int, index: int) -> object:
    return dataset[(epoch, index, 0)]


def views() -> v2.Compose:
    """``conf/augmentation/adapt_views.yaml`` at 224 pixels."""
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        settings = ("+data.view_size=224", "+data.crop=[0.3, 1.0]", "+data.flip=0.5")
        config = compose(overrides=["+augmentation@data.transform=adapt_views", *settings])
    return instantiate(config.data.transform)


def write_photos(folder: Path, photos: Photos) -> None:
    """Write JPEG files of scikit-learn's photographs with a camera's noise, and their names."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    sources = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for number in range(photos.files):
        enlarged = sources[number % len(sources)].resize(photos.size, Image.Resampling.BICUBIC)
        noise = rng.normal(0, 6, (photos.size[1], photos.size[0], 3))
        pixels = (np.asarray(enlarged) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05}.jpg", quality=92)
    for number in range(photos.files, photos.names):
        (folder / f"{number:05}.jpg").hardlink_to(folder / f"{number % photos.files:05}.jpg")
