"""Well-known data sets as image sources: scikit-learn's digits and data sets of torchvision."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torchvision import datasets

from odc_lightning.data.sources import ArraySource, SubsetSource
from odc_lightning.utils.home import expanded

Split = Literal["train", "val"]

# Where Debian's package `dataset-fashion-mnist` puts the original four archives.
DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def digits(split: Split) -> SubsetSource:
    """scikit-learn's 1797 gray digits of 8x8 pixels, which are installed with scikit-learn.

    They have no official split: a fixed stratified draw keeps 1437 for training and 360 for
    validation.
    """
    is_train = _is_train(split)
    data = load_digits()
    images = np.rint(data.images * (255 / 16)).astype(np.uint8)  # the values are 0..16
    everything = ArraySource(images, "digits", data.target, [str(name) for name in range(10)])
    train, val = train_test_split(
        np.arange(len(images)), test_size=0.2, stratify=data.target, random_state=0
    )
    return SubsetSource(everything, np.sort(train if is_train else val))


def fashion_mnist(root: str, split: Split, download: bool = True) -> ArraySource:
    """Fashion-MNIST, 28x28 gray: 60,000 images for training, 10,000 for validation.

    It is read from `root` if it is there, else from Debian's package `dataset-fashion-mnist` if
    that is installed, else downloaded to `root`.

    Raises:
        ValueError: if it is in neither place and is not downloaded.
    """
    is_train = _is_train(split)
    try:
        data = datasets.FashionMNIST(_folder(root), train=is_train)
    except RuntimeError:  # torchvision's way to say that the files are not there
        if DEBIAN_FASHION_MNIST.is_dir():
            data = _debian_fashion_mnist(is_train)
        else:
            data = _fetch(datasets.FashionMNIST, root, download, train=is_train)
    return ArraySource(
        data.data.numpy(), f"fashion_mnist/{split}", data.targets.numpy(), list(data.classes)
    )


def cifar10(root: str, split: Split, download: bool = True) -> ArraySource:
    """CIFAR-10, 32x32 colour: 50,000 images for training, 10,000 for validation."""
    return _cifar(datasets.CIFAR10, "cifar10", root, split, download)


def cifar100(root: str, split: Split, download: bool = True) -> ArraySource:
    """CIFAR-100, 32x32 colour: 50,000 images for training, 10,000 for validation."""
    return _cifar(datasets.CIFAR100, "cifar100", root, split, download)


def stl10(root: str, split: Split, download: bool = True) -> ArraySource:
    """STL-10, 96x96 colour: 105,000 images for training, 8,000 for validation.

    The training images are the 5,000 labelled ones followed by the 100,000 unlabelled ones, whose
    label is -1. Clustering uses all of them, scores use the labelled ones.
    """
    part = "train+unlabeled" if _is_train(split) else "test"
    data = _fetch(datasets.STL10, root, download, split=part)
    images = data.data.transpose(0, 2, 3, 1)  # (N, 3, H, W) -> (N, H, W, 3)
    return ArraySource(images, f"stl10/{split}", data.labels, list(data.classes))


def _cifar(
    dataset: Callable[..., Any], name: str, root: str, split: Split, download: bool
) -> ArraySource:
    data = _fetch(dataset, root, download, train=_is_train(split))
    return ArraySource(data.data, f"{name}/{split}", np.array(data.targets), list(data.classes))


def _fetch(dataset: Callable[..., Any], root: str, download: bool, **kwargs: Any) -> Any:
    """Build a torchvision data set, which checks the files on disk before it downloads."""
    folder = _folder(root)
    try:
        return dataset(folder, download=download, **kwargs)
    except (RuntimeError, OSError) as error:  # not there or damaged; no network or no permission
        name = getattr(dataset, "__name__", "the data set")
        advice = "check the network" if download else "allow the download (download=true)"
        raise ValueError(
            f"{name} is missing or incomplete in {folder.resolve()} and was not downloaded: "
            f"{error} Set data.root to the folder that has it, or {advice}."
        ) from error


def _debian_fashion_mnist(is_train: bool) -> Any:
    """Unpack Debian's archives into torchvision's layout, and read them with torchvision."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "FashionMNIST", "raw")
        raw.mkdir(parents=True)
        for archive in DEBIAN_FASHION_MNIST.glob("*.gz"):
            (raw / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
        return datasets.FashionMNIST(folder, train=is_train)


def _folder(root: str) -> Path:
    return expanded(root)


def _is_train(split: str) -> bool:
    if split not in ("train", "val"):
        raise ValueError(f"split={split!r}; expected train or val")
    return split == "train"
