"""Every file of conf/data composes; those whose images are at hand yield batches."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf
from PIL import Image

from odc_lightning.data import ImageDataModule, builtin

CONF = Path(__file__).parents[2] / "conf"
DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml") if path.stem != "base")
PATHS = {
    "image_folder": ["data.root=somewhere"],
    "imagenet": ["data.root=somewhere"],
    "file_list": ["data.train.path=some.txt"],
}


def data_config(name: str, *overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose(overrides=["+seed=3", f"+data={name}", *overrides])


def first_batch(name: str, *overrides: str) -> torch.Tensor:
    data: ImageDataModule = instantiate(data_config(name, *overrides).data)
    data.setup("fit")
    extracted = next(iter(data.extraction_dataloader("train")))["image"]
    trained: torch.Tensor = next(iter(data.train_dataloader()))["image"]
    assert trained.dtype == extracted.dtype == torch.float32
    assert trained.shape == extracted.shape
    return trained


@pytest.mark.parametrize("name", DATA)
def test_every_config_composes_and_builds(name: str) -> None:
    config = data_config(name, *PATHS.get(name, []))
    OmegaConf.resolve(config)
    assert not OmegaConf.missing_keys(config)
    data = instantiate(config.data)
    assert isinstance(data, ImageDataModule)
    assert data.seed == 3


@pytest.mark.parametrize("name", ["image_folder", "imagenet"])
def test_folder_has_to_be_named(name: str) -> None:
    with pytest.raises(MissingMandatoryValue, match=r"data\.root"):
        _ = data_config(name).data.root


def test_digits() -> None:
    assert first_batch("digits").shape == (128, 3, 16, 16)


def test_overrides_reach_where_they_should() -> None:
    batch = first_batch(
        "digits",
        "data.image_size=24",
        "data.batch_size=6",
        "data.subset={num_classes:2,images_per_class:5}",
        "augmentation@data.train_transform=imagenet",
        "augmentation@data.eval_transform=imagenet_eval",
    )
    assert batch.shape == (6, 3, 24, 24)


@pytest.mark.skipif(
    not builtin.DEBIAN_FASHION_MNIST.is_dir(),
    reason="needs Debian's package dataset-fashion-mnist",
)
def test_fashion_mnist(tmp_path: Path) -> None:
    batch = first_batch("fashion_mnist", f"data.root={tmp_path}", "data.num_workers=0")
    assert batch.shape == (512, 3, 28, 28)


def test_image_folder_and_file_list(tmp_path: Path) -> None:
    (tmp_path / "my photos").mkdir()
    for i in range(4):
        Image.new("RGB", (60, 40), (60 * i, 0, 0)).save(tmp_path / "my photos" / f"{i}.jpg")
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"{i}.jpg,a\n" for i in range(4)))
    small = ["data.batch_size=4", "data.image_size=32", "data.num_workers=0"]
    root = f'data.root="{tmp_path}/my photos"'
    path = f"data.train.path={tmp_path}/list.csv"
    assert first_batch("image_folder", root, *small).shape == (4, 3, 32, 32)
    assert first_batch("file_list", root, path, *small).shape == (4, 3, 32, 32)
