"""Digits and Fashion-MNIST as they are; the downloads from miniature files in the same layout."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from torchvision import datasets

from odc_lightning.data import cifar10, cifar100, digits, fashion_mnist, stl10
from odc_lightning.data.datasets import builtin
from odc_lightning.data.sources import ImageSource

needs_debian_package = pytest.mark.skipif(
    not builtin.DEBIAN_FASHION_MNIST.is_dir(),
    reason="needs Debian's package dataset-fashion-mnist",
)


def labels_of(source: ImageSource) -> np.ndarray:
    assert source.labels is not None
    assert source.labels.dtype == np.int64
    return source.labels


def test_digits_are_split_for_good() -> None:
    train, val = digits("train"), digits("val")
    assert (len(train), len(val)) == (1437, 360)
    names = [source.name(i) for source in (train, val) for i in range(len(source))]
    assert sorted(names) == sorted(f"digits/{i}" for i in range(1797))
    assert [digits("val").name(i) for i in range(360)] == [val.name(i) for i in range(360)]
    assert np.bincount(labels_of(val)).min() >= 34
    assert train.class_names == list("0123456789")


def test_digits_span_the_whole_range() -> None:
    original = load_digits()
    train = digits("train")
    index = int(train.name(5).removeprefix("digits/"))
    pixels = np.asarray(train.load(5))
    assert pixels.shape == (8, 8, 3)
    np.testing.assert_allclose(pixels[..., 0], original.images[index] / 16 * 255, atol=0.5)
    assert labels_of(train)[5] == original.target[index]
    assert max(np.asarray(train.load(i)).max() for i in range(20)) == 255


def test_unknown_split() -> None:
    with pytest.raises(ValueError, match="split='test'; expected train or val"):
        digits("test")  # type: ignore[arg-type]


@needs_debian_package
def test_fashion_mnist_from_debian(tmp_path: Path) -> None:
    val = fashion_mnist(str(tmp_path), "val", download=False)
    assert len(val) == 10_000
    assert np.bincount(labels_of(val)).tolist() == [1000] * 10
    assert val.class_names is not None
    assert val.class_names[9] == "Ankle boot"
    assert val.load(0).size == (28, 28)
    assert val.name(3) == "fashion_mnist/val/3"
    assert list(tmp_path.iterdir()) == []


@needs_debian_package
def test_fashion_mnist_for_training() -> None:
    train = fashion_mnist("nowhere", "train", download=False)
    assert np.bincount(labels_of(train)).tolist() == [6000] * 10


def test_fashion_mnist_on_disk_comes_first(tmp_path: Path) -> None:
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for part, count in (("train", 3), ("t10k", 2)):
        images = np.array([2051, count, 28, 28], ">i4").tobytes() + bytes(count * 28 * 28)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(images)
        labels = np.array([2049, count], ">i4").tobytes() + bytes(range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    source = fashion_mnist(str(tmp_path), "train")
    assert labels_of(source).tolist() == [0, 1, 2]


def test_fashion_mnist_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtin, "DEBIAN_FASHION_MNIST", tmp_path / "none")
    with pytest.raises(ValueError, match=r"FashionMNIST is missing or incomplete.*download=true"):
        fashion_mnist(str(tmp_path), "train", download=False)


def test_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(self: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(datasets.CIFAR10, "download", no_network)
    with pytest.raises(ValueError, match=r"no route to host.*data\.root.*check the network"):
        cifar10(str(tmp_path), "train")


def trusting(monkeypatch: pytest.MonkeyPatch, dataset: type) -> None:
    """torchvision compares checksums, which miniature files cannot have."""
    monkeypatch.setattr(dataset, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda path, md5: True)


def write_cifar(folder: Path, parts: list[str], meta: str, key: str, names_key: str) -> None:
    folder.mkdir()
    for number, part in enumerate(parts):
        pixels = np.full((2, 3 * 32 * 32), number, np.uint8)
        pixels[:, :1024] = 200  # the red plane
        (folder / part).write_bytes(pickle.dumps({"data": pixels, key: [number % 2, 1]}))
    (folder / meta).write_bytes(pickle.dumps({names_key: ["plane", "car"]}))


def test_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting(monkeypatch, datasets.CIFAR10)
    parts = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar(folder, parts, "batches.meta", "labels", "label_names")
    train, val = cifar10(str(tmp_path), "train"), cifar10(str(tmp_path), "val")
    assert (len(train), len(val)) == (10, 2)
    assert labels_of(train).tolist() == [0, 1, 1, 1, 0, 1, 1, 1, 0, 1]
    assert train.class_names == ["plane", "car"]
    assert train.load(2).getpixel((7, 7)) == (200, 1, 1)
    assert val.name(1) == "cifar10/val/1"


def test_cifar100(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting(monkeypatch, datasets.CIFAR100)
    folder = tmp_path / "cifar-100-python"
    write_cifar(folder, ["train", "test"], "meta", "fine_labels", "fine_label_names")
    assert labels_of(cifar100(str(tmp_path), "val")).tolist() == [1, 1]


def test_stl10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trusting(monkeypatch, datasets.STL10)
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for part, count in (("train", 2), ("unlabeled", 3), ("test", 2)):
        pixels = np.zeros((count, 3, 96, 96), np.uint8)
        pixels[:, 0, 5, :] = 250  # stored by columns: red at x = 5
        pixels.tofile(folder / f"{part}_X.bin")
        np.array([1, 10], np.uint8).tofile(folder / f"{part}_y.bin")
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    train, val = stl10(str(tmp_path), "train"), stl10(str(tmp_path), "val")
    assert labels_of(train).tolist() == [0, 9, -1, -1, -1]
    assert labels_of(val).tolist() == [0, 9]
    assert train.load(4).getpixel((5, 80)) == (250, 0, 0)
    assert train.class_names == ["airplane", "bird"]
