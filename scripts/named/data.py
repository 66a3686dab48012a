"""Images and simulated names of the study: ``python -m scripts.named.data DATA FOLDER``.

Writes FOLDER/train/<class>/<image>, FOLDER/test/<class>/<image>, and FOLDER/labels/N_SEED.csv: N
images of each class, as a person would have named them.

- ``fashion``: 1,400 of Fashion-MNIST's training images; 1,000 of its test images.
- ``solar``: 800 photographs of solar cells as in the study of adaptation; the other 1,824.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scripts.adapt.data import write_fashion, write_solar

from odc_lightning.utils.tables import table_writer

NAMES = ("fashion", "solar")
NUM_NAMED = (5, 20, 100)
SEEDS = (0, 1, 2)
NUM_FASHION, NUM_FASHION_TEST = 1400, 1000
NUM_SOLAR, ALL_SOLAR = 800, 2624


def write_images(name: str, root: Path, folder: Path) -> None:
    """Write ``train`` and ``test``.

    Args:
        name: of `NAMES`.
        root: folder of Fashion-MNIST, see `odc_lightning.data.fashion_mnist`.
        folder: to write.
    """
    if name == "fashion":
        write_fashion(root, folder / "train", NUM_FASHION)
        write_fashion(root, folder / "test", NUM_FASHION_TEST, split="val")
        return
    write_solar(folder / "test", ALL_SOLAR)
    write_solar(folder / "train", NUM_SOLAR)
    for file in (folder / "train").glob("*/*"):
        (folder / "test" / file.parent.name / file.name).unlink()


def write_labels(folder: Path, num_named: Sequence[int], seeds: Sequence[int]) -> None:
    """Write the tables of names; with more names of a seed, those of fewer are among them.

    Args:
        folder: with ``train``.
        num_named: images of each class that have names.
        seeds: of the draws.

    Raises:
        ValueError: a class has too few images.
    """
    (folder / "labels").mkdir(exist_ok=True)
    classes = sorted(each for each in (folder / "train").iterdir() if each.is_dir())
    for seed in seeds:
        rng = np.random.default_rng(seed)
        order = {}
        for each in classes:
            files = sorted(file.name for file in each.iterdir())
            order[each.name] = [files[row] for row in rng.permutation(len(files))]
            if len(files) < max(num_named):
                raise ValueError(f"{each} has {len(files)} images; expected {max(num_named)}")
        for number in num_named:
            with table_writer(folder / "labels" / f"{number}_{seed}.csv", ("path", "label")) as add:
                for name, files in order.items():
                    add((f"{name}/{file}", name) for file in files[:number])


def main(argv: Sequence[str] | None = None) -> None:
    """Command-line entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("folder", type=Path, help="output folder; it must not exist")
    parser.add_argument("--root", type=Path, default=Path("datasets"), help="for fashion")
    given = parser.parse_args(argv)
    if given.folder.exists():
        parser.error(f"{given.folder} already exists; remove it, or name another folder")
    unfinished = given.folder.with_name(f"{given.folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # of an interrupted command
    try:
        write_images(given.name, given.root, unfinished)
        write_labels(unfinished, NUM_NAMED, SEEDS)
    except ValueError as error:
        parser.error(str(error))
    unfinished.rename(given.folder)


if __name__ == "__main__":
    main()
