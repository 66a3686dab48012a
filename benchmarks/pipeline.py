"""Images that one core decodes and augments per second, compared with torchvision's pipelines.

``python -m benchmarks.pipeline`` prints Markdown tables. The images are JPEG files of ImageNet's
usual size, pieces of scikit-learn's two photographs, and become views of 224 pixels under
``conf/augmentation/imagenet.yaml``. All pipelines take turns, in one process and on one thread.
Collating batches and passing them between processes are not part of the times.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

from benchmarks.tables import Cell, Table, Target
from benchmarks.timing import in_turns
from odc_lightning.config import CONFIG_DIR
from odc_lightning.data import IndexedDataset, image_folder

OURS, OURS_PIXELS = "ours", "ours, as pixels for a GPU"
IMAGE_FOLDER = "torchvision's ImageFolder, the same transforms"
ON_TENSORS = "torchvision's decode_image, the same on tensors"
NOT_SMOOTHED = "torchvision's decode_image, on tensors, antialias=False"
DECODE, DECODE_TENSOR = "only decode: ours", "only decode: torchvision's decode_image"
THEIRS = (IMAGE_FOLDER, ON_TENSORS)
CORES = (8, 16, 32)

OneImage = Callable[[int], Any]


def measure(
    quick: bool, cores: Sequence[int] = CORES, gpu_speeds: Sequence[float] = ()
) -> Iterator[Table | Target]:
    """Images per second of each pipeline and of several cores, and the target.

    Args:
        quick: few images and one repeat, as a smoke test.
        cores: numbers of loading processes, one core each.
        gpu_speeds: images/s that GPUs could train on, for the share of a step that they wait.
    """
    seconds = seconds_an_image(num_images=4 if quick else 32, repeats=1 if quick else 15)
    ours = seconds[OURS]
    yield Table(
        "Input pipeline on one core",
        ("way", "images/s", "ms an image", "time / ours"),
        [(way, 1 / time, 1e3 * time, time / ours) for way, time in seconds.items()],
        "JPEG files of 500 × 375, quality 90, to views of 224 × 224 under augmentation=imagenet. "
        "Without antialias a crop is not smoothed as Pillow does it, so that way makes other "
        "images and is not in the target.",
    )
    yield feeding(seconds, cores)
    if gpu_speeds:
        yield waits(seconds, cores, gpu_speeds)
    best = min(seconds[way] for way in THEIRS)
    yield Target("input pipeline: time of ours / of the best of torchvision's ways", ours / best, 1)


def feeding(seconds: dict[str, float], cores: Sequence[int]) -> Table:
    """The training speeds up to which no step waits for images."""
    rows: list[tuple[Cell, ...]] = [
        (way, *(number / seconds[way] for number in cores)) for way in (OURS, OURS_PIXELS)
    ]
    return Table(
        "Images/s that cores feed",
        ("way", *(f"{number} cores" for number in cores)),
        rows,
        "Arithmetic: the rate of one core above, times their number. A GPU that trains on that "
        "many images/s or fewer does not wait; of one that could train on r, a share of 1 - f / r "
        "of each step is spent waiting, where f is the number in the table.",
    )


def waits(seconds: dict[str, float], cores: Sequence[int], gpu_speeds: Sequence[float]) -> Table:
    """The share of a step that GPUs of these speeds wait for images."""
    rows: list[tuple[Cell, ...]] = [
        (f"{way}, {number} cores", *(waiting(seconds[way], number, speed) for speed in gpu_speeds))
        for way in (OURS, OURS_PIXELS)
        for number in cores
    ]
    return Table(
        "Share of a step that a GPU waits for images",
        ("way", *(f"GPU that trains on {speed:,g} images/s" for speed in gpu_speeds)),
        rows,
        "Arithmetic, as above; the speeds of the GPUs are given, not measured.",
    )


def waiting(seconds_an_image: float, cores: int, gpu_images_per_second: float) -> float:
    """The share of a step that a GPU waits for images, from 0 to 1, if cores scale perfectly."""
    return max(0.0, 1 - cores / seconds_an_image / gpu_images_per_second)


def seconds_an_image(num_images: int, repeats: int) -> dict[str, float]:
    """Median seconds per image of each pipeline."""
    with tempfile.TemporaryDirectory() as folder, one_thread():
        write_photos(Path(folder) / "photos", num_images)
        all_ways = ways(Path(folder))
        steps = [partial(_all_images, way, num_images) for way in all_ways.values()]
        times = in_turns(steps, repeats, lambda repeat: torch.manual_seed(repeat), num_images)
    return dict(zip(all_ways, times, strict=True))


def ways(folder: Path) -> dict[str, OneImage]:
    """The pipelines, each as a function that makes a view of one image.

    Args:
        folder: a folder with JPEG files in sub-folders.
    """
    transform = imagenet_transform()
    source = image_folder(str(folder))
    by_ours = IndexedDataset(source, transform)
    as_pixels = IndexedDataset(source, transform, as_pixels=True)
    by_theirs = ImageFolder(str(folder), transform)
    files = [source.path(index) for index in range(len(source))]

    def decoded(index: int) -> torch.Tensor:
        return decode_image(str(files[index]), ImageReadMode.RGB)

    def on_tensors(crop: v2.RandomResizedCrop) -> OneImage:
        # The steps after the crop, without the conversion from Pillow.
        later = [t for t in transform.transforms[1:] if not isinstance(t, v2.PILToTensor)]
        steps = v2.Compose([crop, *later])
        return lambda index: steps(decoded(index))

    return {
        OURS: lambda index: by_ours[(0, index, 0)],
        IMAGE_FOLDER: lambda index: by_theirs[index],
        ON_TENSORS: on_tensors(v2.RandomResizedCrop(224)),
        NOT_SMOOTHED: on_tensors(v2.RandomResizedCrop(224, antialias=False)),
        OURS_PIXELS: lambda index: as_pixels[(0, index, 0)],
        DECODE: source.load,
        DECODE_TENSOR: decoded,
    }


def imagenet_transform() -> v2.Compose:
    """``conf/augmentation/imagenet.yaml`` at 224 pixels."""
    with initialize_config_dir(CONFIG_DIR, version_base="1.3"):
        name = "+augmentation@data.transform=imagenet"
        config = compose(overrides=[name, "+data.image_size=224"])
    return instantiate(config.data.transform)


def write_photos(folder: Path, count: int) -> None:
    """Write JPEG files of 500 x 375 pixels, each a different piece of a photograph."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        width = int(rng.integers(350, 550))
        height = width * 3 // 4
        left = int(rng.integers(photograph.width - width))
        top = int(rng.integers(photograph.height - height))
        piece = photograph.crop((left, top, left + width, top + height)).resize((500, 375))
        piece.save(folder / f"{number:03}.jpg", quality=90)


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the body on one thread, as in a dataloader worker."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _all_images(way: OneImage, num_images: int) -> None:
    for index in range(num_images):
        way(index)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few images, as a smoke test")
    parser.add_argument("--cores", type=int, nargs="+", default=CORES)
    parser.add_argument(
        "--gpu-speeds", type=float, nargs="+", default=(), help="images/s that GPUs train on"
    )
    options = parser.parse_args(arguments)
    for result in measure(options.quick, options.cores, options.gpu_speeds):
        if isinstance(result, Table):
            print(result.markdown(), end="\n\n")
        else:
            print(
                f"{result.what}: {result.measured:.3f}, at most {result.at_most}: {result.verdict}"
            )


if __name__ == "__main__":
    main()
