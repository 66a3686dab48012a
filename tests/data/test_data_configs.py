"""Every file of conf/data composes; those whose images are at hand yield batches."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, MissingMandatoryValue, OmegaConf
from PIL import Image

from helpers.paths import CONF
from odc_lightning.data import ImageDataModule
from odc_lightning.data.datasets import builtin
from odc_lightning.data.datasets.voc import CLASSES

DATA = sorted(path.stem for path in (CONF / "data").glob("*.yaml") if path.stem != "base")
PATHS = {
    "image_folder": ["data.root=somewhere"],
    "imagenet": ["data.root=somewhere"],
    "imagenet_labels": ["data.root=somewhere"],
    "places205": ["data.root=somewhere"],
    "voc2007": ["data.root=somewhere"],
    "file_list": ["data.train.path=some.txt"],
}
# Where the name is not that of the config.
NAMES = {"image_folder": None, "file_list": None, "imagenet_labels": "imagenet", "voc2007": "voc07"}


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
    assert data.name == NAMES.get(name, name)


@pytest.mark.parametrize("name", [name for name in PATHS if name != "file_list"])
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


def jpeg(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (60, 40)).save(path)


def write_imagenet(root: Path) -> None:
    for i in range(4):
        jpeg(root / f"train/n0144076{i % 2}/{i}.JPEG")
        jpeg(root / f"val/n0144076{i % 2}/{i}.JPEG")


def write_places(root: Path) -> None:
    for i in range(4):
        jpeg(root / f"train/abbey/{i}.jpg")
        jpeg(root / f"val/abbey/{i}.jpg")


def write_voc(root: Path) -> None:
    for split, start in (("trainval", 0), ("test", 4)):
        lines = "".join(f"00000{start + i}  1\n" for i in range(4))
        for name in CLASSES:
            path = root / f"VOC2007/ImageSets/Main/{name}_{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lines)
        for i in range(4):
            jpeg(root / f"VOC2007/JPEGImages/00000{start + i}.jpg")


@pytest.mark.parametrize(
    ("name", "write"),
    [("imagenet_labels", write_imagenet), ("places205", write_places), ("voc2007", write_voc)],
)
def test_data_sets_of_the_evaluation(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path)
    config = data_config(name, f"data.root={tmp_path}", "data.num_workers=0").data
    assert (config.batch_size, config.image_size) == (256, 224)
    data: ImageDataModule = instantiate(config)
    data.setup("predict")  # though four images do not fill a batch
    assert data.val_dataset is not None
    for split in ("train", "val"):
        (batch,) = data.extraction_dataloader(split)
        assert batch["image"].shape == (4, 3, 224, 224)
    train, val = data.train_dataset.source, data.val_dataset.source
    assert train.path(0) != val.path(0)
    has_classes = (train.labels is not None, train.objects is not None)
    assert has_classes == ((False, True) if name == "voc2007" else (True, False))


def views(augmentation: str, image: Image.Image) -> torch.Tensor:
    config = data_config("digits", f"augmentation@data.train_transform={augmentation}")
    transform = instantiate(config.data).train_transform
    torch.manual_seed(0)
    return torch.stack([transform(image) for _ in range(64)])


def test_views_that_classifiers_train_on() -> None:
    """A ramp from black to white shows flips, the part that is seen, and changed colours."""
    ramp = Image.linear_gradient("L").rotate(90).convert("RGB")
    large = views("small_crop", ramp)
    assert (large[..., 0] < large[..., -1]).all()
    assert large.abs().max() <= 1
    widths = (large[..., -1] - large[..., 0]).mean((1, 2)) / 2
    assert 0.6 < widths.min() < 0.8  # sqrt(0.6 * 3/4) = 0.67 for the narrowest crop
    flipped = views("imagenet_crop_and_flip", ramp)
    is_flipped = (flipped[:, 0, :, 0] > flipped[:, 0, :, -1]).all(1)
    assert 16 < is_flipped.sum() < 48
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = flipped * std.view(3, 1, 1) + mean.view(3, 1, 1)
    assert torch.allclose(pixels[:, 0], pixels[:, 2], atol=1e-5)
