"""Features are found again for the same network and images, and for nothing else."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from odc_lightning.data import ArraySource, FileSource, ImageSource, IndexedDataset, SubsetSource
from odc_lightning.features import feature_files
from odc_lightning.features.digests import facts_of
from odc_lightning.features.feature_files import FeatureFiles
from odc_lightning.models import ConvNet, TimmBackbone

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)


def to_tensor(size: int = 8) -> v2.Compose:
    return v2.Compose([v2.Resize(size), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


def dataset(source: ImageSource | None = None, transform: Any = None) -> IndexedDataset:
    return IndexedDataset(source or ArraySource(PIXELS, "x"), transform or to_tensor())


def facts(network: ConvNet, images: IndexedDataset, precision: str = "32-true") -> dict[str, str]:
    return facts_of(network, images, precision)


def test_the_same_things_have_the_same_facts() -> None:
    torch.manual_seed(0)
    one = ConvNet(4)
    two = ConvNet(4)
    two.load_state_dict(one.state_dict())
    assert facts(one, dataset()) == facts(two, dataset(ArraySource(PIXELS.copy(), "y")))


def changed_weight(network: ConvNet, images: IndexedDataset) -> dict[str, str]:
    network.conv1[0].weight.data[0, 0, 0, 0] += 1e-6  # type: ignore[operator, index]
    return facts(network, images)


def changed_statistics(network: ConvNet, images: IndexedDataset) -> dict[str, str]:
    network.train()(torch.randn(4, 3, 8, 8))
    return facts(network, images)


def changed_pixel(network: ConvNet, images: IndexedDataset) -> dict[str, str]:
    pixels = PIXELS.copy()
    pixels[3, 0, 0] ^= 1  # image 3 is none of the views that are looked at
    return facts(network, dataset(ArraySource(pixels, "x")))


def changed_order(network: ConvNet, images: IndexedDataset) -> dict[str, str]:
    order = np.arange(len(PIXELS))
    order[[3, 4]] = order[[4, 3]]
    return facts(network, dataset(SubsetSource(ArraySource(PIXELS, "x"), order)))


def changed_size(network: ConvNet, images: IndexedDataset) -> dict[str, str]:
    return facts(network, dataset(transform=to_tensor(16)))


class Brighter:
    """A transform without a description of its own."""

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def __call__(self, image: Any) -> torch.Tensor:
        return to_tensor()(image) + self.shift


@pytest.mark.parametrize(
    "change", [changed_weight, changed_statistics, changed_pixel, changed_order, changed_size]
)
def test_any_change_shows(change: Any) -> None:
    network = ConvNet(4)
    before = facts(network, dataset())
    assert change(network, dataset()) != before


def test_code_of_a_transform_and_precision_show() -> None:
    network = ConvNet(4)
    assert facts(network, dataset(transform=Brighter(0.1))) == facts(
        network, dataset(transform=Brighter(0.1))
    )
    assert facts(network, dataset(transform=Brighter(0.1))) != facts(
        network, dataset(transform=Brighter(0.2))
    )
    assert facts(network, dataset()) != facts(network, dataset(), "bf16-mixed")


def test_a_file_that_was_written_again_shows(tmp_path: Path) -> None:
    names = [f"{index}.png" for index in range(20)]
    for index, name in enumerate(names):
        Image.fromarray(PIXELS[index]).save(tmp_path / name)
    network = ConvNet(4)
    before = facts(network, dataset(FileSource(tmp_path, names)))
    assert facts(network, dataset(FileSource(tmp_path, names))) == before
    status = (tmp_path / names[3]).stat()
    os.utime(tmp_path / names[3], ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    assert facts(network, dataset(FileSource(tmp_path, names))) != before


def test_rows_are_there_once_they_are_whole(tmp_path: Path) -> None:
    files = FeatureFiles(tmp_path, {"network": "a"}, 5)
    token = files.create({"conv1": 3, "pooled": 2})
    rows = files.open("conv1", token)
    rows[:] = np.arange(15).reshape(5, 3)
    rows.flush()
    assert not files.has("conv1")
    files.finish("conv1", token)
    assert files.has("conv1")
    assert not files.has("pooled")
    again = FeatureFiles(tmp_path, {"network": "a"}, 5)
    loaded = again.load("conv1")
    assert loaded.dtype == np.float32
    assert loaded.tolist() == np.arange(15).reshape(5, 3).tolist()
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 1
    assert not FeatureFiles(tmp_path, {"network": "b"}, 5).has("conv1")


def test_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(feature_files.shutil, "disk_usage", lambda folder: usage)
    files = FeatureFiles(tmp_path, {}, 100)
    files.create({"pooled": 2})
    with pytest.raises(ValueError, match=r"100 images at conv1 need 0\.0 GB, and .* has 0\.0 GB"):
        files.create({"conv1": 3})


def test_two_writers_do_not_harm_each_other(tmp_path: Path) -> None:
    one, two = (FeatureFiles(tmp_path, {"network": "a"}, 4) for _ in range(2))
    first, second = one.create({"pooled": 1}), two.create({"pooled": 1})
    one.open("pooled", first)[:] = 1
    assert not one.has("pooled")
    two.open("pooled", second)[:] = 1
    two.finish("pooled", second)
    one.finish("pooled", first)
    assert one.load("pooled").tolist() == [[1], [1], [1], [1]]
    three = FeatureFiles(tmp_path, {"network": "b"}, 4)
    three.discard(["pooled"], three.create({"pooled": 1}))
    assert [path.name for path in three.folder.iterdir()] == ["facts.json"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match=r"cannot be written to .*file.*features_dir="):
        FeatureFiles(tmp_path / "file", {}, 4).create({"pooled": 1})


def test_the_same_weights_in_another_computation_show() -> None:
    mean = TimmBackbone("resnet18", global_pool="avg")
    most = TimmBackbone("resnet18", global_pool="max")
    most.load_state_dict(mean.state_dict())
    assert facts_of(mean, dataset(), "32-true") != facts_of(most, dataset(), "32-true")
