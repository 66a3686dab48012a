"""The data module: what is there after setup, what is refused, what the loaders yield."""

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.plugins import HalfPrecision
from torchvision.transforms import v2

from odc_lightning.data import (
    ArraySource,
    ImageDataModule,
    ImageSource,
    file_list,
    image_folder,
)
from odc_lightning.data.scan import Problem

TRANSFORM = v2.Compose([v2.Resize((8, 8)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


def toy(num_images: int = 40, labelled: bool = True) -> ArraySource:
    images = np.random.default_rng(0).integers(0, 256, (num_images, 8, 8), dtype=np.uint8)
    return ArraySource(images, "toy", np.arange(num_images) % 4 if labelled else None)


def make(train: Callable[[], ImageSource] = toy, **changes: Any) -> ImageDataModule:
    arguments: dict[str, Any] = {
        "val": None,
        "train_transform": TRANSFORM,
        "eval_transform": TRANSFORM,
        "image_size": 8,
        "batch_size": 8,
        "num_workers": 0,
    }
    return ImageDataModule(train, **(arguments | changes))


def ready(*args: Any, **changes: Any) -> ImageDataModule:
    data = make(*args, **changes)
    data.setup("fit")
    return data


def photos(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        Image.new("RGB", (12, 10), (i, 0, 0)).save(folder / f"{i:02}.jpg")


def on_rank(
    data: ImageDataModule, rank: int, world_size: int, device: str = "cpu"
) -> ImageDataModule:
    data.trainer = Mock(
        global_rank=rank,
        world_size=world_size,
        num_devices=world_size,
        default_root_dir=tempfile.gettempdir(),
        is_global_zero=rank == 0,
        strategy=Mock(root_device=torch.device(device)),
        precision_plugin=Mock(convert_input=lambda images: images),
    )
    return data


def test_after_setup() -> None:
    data = ready(val=partial(toy, 12))
    assert data.num_samples == 40
    assert len(data.train_dataset) == 40
    assert data.val_dataset is not None
    assert len(data.val_dataset) == 12
    assert ready().val_dataset is None


def test_several_views_of_each_image_in_training_alone() -> None:
    data = ready(num_views=2, val=partial(toy, 12))
    assert next(iter(data.train_dataloader()))["image"].shape == (8, 2, 3, 8, 8)
    assert next(iter(data.extraction_dataloader("train")))["image"].shape == (8, 3, 8, 8)
    assert next(iter(data.extraction_dataloader("val")))["image"].shape == (8, 3, 8, 8)
    with pytest.raises(ValueError, match=r"data\.num_views=0; expected 1 or more"):
        make(num_views=0)
    with pytest.raises(ValueError, match=r"train_transform gives torch\.uint8 \(3, 8, 8\)"):
        ready(num_views=2, train_transform=v2.Compose([v2.Resize((8, 8)), v2.PILToTensor()]))


def test_sources_are_built_and_scanned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos(tmp_path, 10)
    scan = Mock(return_value=[])
    monkeypatch.setattr("odc_lightning.data.datamodule.scan_source", scan)
    build = Mock(side_effect=partial(image_folder, str(tmp_path)))
    data = make(build)
    data.prepare_data()
    for stage in ("predict", "fit", "validate", "fit"):
        data.setup(stage)
    assert build.call_count == 1
    assert scan.call_count == 1


@pytest.mark.parametrize("stage", ["predict", "validate", "test"])
def test_evaluation_needs_nothing_that_only_training_needs(stage: str) -> None:
    never = Mock(side_effect=AssertionError("only training uses it"))
    data = make(train_transform=never, batch_size=64, val=partial(toy, 12))
    data.setup(stage)
    assert data.num_samples == 40
    shapes = [
        [batch["image"].shape for batch in data.extraction_dataloader(split)]
        for split in ("train", "val")
    ]
    assert shapes == [[(40, 3, 8, 8)], [(12, 3, 8, 8)]]


def test_evaluation_checks_its_own_view() -> None:
    with pytest.raises(ValueError, match=r"eval_transform gives torch\.uint8"):
        make(eval_transform=v2.PILToTensor()).setup("predict")


def test_training_after_evaluation_is_checked() -> None:
    build = Mock(side_effect=toy)
    data = make(build, batch_size=64)
    data.setup("predict")
    for stage in ("fit", None):
        with pytest.raises(ValueError, match="40 images do not fill a batch"):
            data.setup(stage)
    data.batch_size = 8
    data.setup("fit")
    dataset = data.train_dataset
    data.setup("predict")
    data.setup("fit")
    assert data.train_dataset is dataset
    assert build.call_count == 1


def test_views_are_checked_once() -> None:
    train, evaluation = Mock(side_effect=TRANSFORM), Mock(side_effect=TRANSFORM)
    data = make(train_transform=train, eval_transform=evaluation)
    for _ in range(2):
        data.setup("predict")
    assert (train.call_count, evaluation.call_count) == (0, 1)
    data.setup("fit")
    counts = (train.call_count, evaluation.call_count)
    for stage in ("fit", "predict", None):
        data.setup(stage)
    assert (train.call_count, evaluation.call_count) == counts
    assert train.call_count == 1


def test_no_image_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    for stage in ("fit", "predict"):
        with pytest.raises(ValueError, match="no images that can be read"):
            make(partial(image_folder, str(tmp_path)), on_error="skip").setup(stage)


def test_name() -> None:
    assert make(name="voc07").name == "voc07"
    assert make().name is None


def test_ranks_agree_on_the_damaged_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, 20)
    (tmp_path / "07.jpg").write_bytes(b"")
    found: list[Problem] = [(tmp_path / "07.jpg", "empty")]
    monkeypatch.setattr("odc_lightning.data.datamodule.from_rank_zero", lambda scan: found)
    data = make(partial(image_folder, str(tmp_path)), on_error="skip")
    on_rank(data, 1, 2).setup("fit")
    assert data.num_samples == 19


def test_damaged_files_are_refused_or_skipped(tmp_path: Path) -> None:
    photos(tmp_path, 20)
    (tmp_path / "03.jpg").write_bytes((tmp_path / "04.jpg").read_bytes()[:-40])
    build = partial(image_folder, str(tmp_path))
    with pytest.raises(ValueError, match=r"1 of 20 images cannot be read:\n.*03\.jpg"):
        ready(build)
    data = ready(build, on_error="skip")
    assert data.num_samples == 19
    names = [data.train_dataset.source.name(i) for i in range(19)]
    assert "03.jpg" not in names
    with pytest.raises(ValueError, match=r"03\.jpg.*data\.scan=full"):
        list(ready(build, scan="none").train_dataloader())


def test_listed_file_that_is_missing(tmp_path: Path) -> None:
    photos(tmp_path, 1)
    (tmp_path / "list.txt").write_text("00.jpg\n99.jpg\n")
    with pytest.raises(ValueError, match=r"99\.jpg: .*No such file"):
        ready(partial(file_list, str(tmp_path / "list.txt")))


def test_subset() -> None:
    data = ready(subset={"num_classes": 2, "images_per_class": 9}, val=partial(toy, 12))
    labels = data.train_dataset.source.labels
    assert labels is not None
    assert np.unique(labels, return_counts=True)[1].tolist() == [9, 9]
    assert data.val_dataset is not None
    assert len(data.val_dataset) == 6  # of the same two classes
    assert ready(partial(toy, 40, labelled=False), subset={"num_images": 10}).num_samples == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 64}, "40 images do not fill a batch"),
        ({"batch_size": 13, "drop_last": False}, "last batch has one image per rank"),
        ({"image_size": 9}, r"train_transform gives torch.float32 \(3, 8, 8\)"),
        ({"eval_transform": v2.PILToTensor()}, "eval_transform gives torch.uint8"),
        ({"on_error": "ignore"}, "expected raise or skip"),
        ({"scan": "slow"}, "expected quick, full or none"),
        ({"seed": -1}, "expected 0 or more"),
    ],
)
def test_refused_before_training(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ready(**changes)


def test_batch_is_over_all_ranks() -> None:
    with pytest.raises(ValueError, match="multiple of the 3 ranks"):
        on_rank(make(), 0, 3).setup("fit")
    alone = [batch["index"].tolist() for batch in ready().train_dataloader()]
    shares = []
    for rank in range(2):
        data = on_rank(make(), rank, 2)
        data.setup("fit")
        shares.append([batch["index"].tolist() for batch in data.train_dataloader()])
    assert [sorted(a + b) for a, b in zip(*shares, strict=True)] == [sorted(b) for b in alone]
    assert all(len(batch) == 4 for batch in shares[0])


@pytest.mark.parametrize(("device", "pinned"), [("cpu", False), ("cuda:1", True)])
def test_batches_are_pinned_for_a_gpu_alone(
    monkeypatch: pytest.MonkeyPatch, device: str, pinned: bool
) -> None:
    """Pinning opens a CUDA context, also where the trainer is on the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    data = on_rank(ready(), 0, 1)
    strategy: Any = data.trainer.strategy  # type: ignore[union-attr]
    strategy.root_device = torch.device(device)
    loaders = [
        data.train_dataloader(),
        data.extraction_dataloader("train"),
        data.rows_dataloader(np.arange(3), views=True),
    ]
    assert [loader.pin_memory for loader in loaders] == [pinned] * 3
    data.trainer = None
    assert not data.train_dataloader().pin_memory


def test_training_batches() -> None:
    data = ready(batch_size=16)
    batches = list(data.train_dataloader())
    assert len(batches) == 2
    assert set(batches[0]) == {"image", "index"}
    assert batches[0]["image"].shape == (16, 3, 8, 8)
    assert batches[0]["index"].dtype == torch.int64
    assert len(list(ready(batch_size=16, drop_last=False).train_dataloader())) == 3


def test_sampling_with_replacement() -> None:
    data = ready(sampling_with_replacement=True)
    indices = torch.cat([batch["index"] for batch in data.train_dataloader()])
    assert len(indices.unique()) < len(indices) == 40


@pytest.mark.parametrize("num_workers", [0, 1])
def test_loaders_leave_the_global_generator_alone(num_workers: int) -> None:
    data = ready(num_workers=num_workers, val=toy)
    before = torch.get_rng_state()
    for _ in data.train_dataloader():
        pass
    for _ in data.extraction_dataloader("train"):
        pass
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("world_size", [1, 2, 3, 7])
def test_extraction_shards_are_the_data_set_in_order(world_size: int) -> None:
    flip = v2.Compose([v2.RandomHorizontalFlip(), TRANSFORM])
    data = ready(train_transform=flip, val=partial(toy, 13))
    for split, count in (("train", 40), ("val", 13)):
        shards = [
            list(data.extraction_dataloader(split, rank, world_size))  # type: ignore[arg-type]
            for rank in range(world_size)
        ]
        indices = torch.cat([batch["index"] for shard in shards for batch in shard])
        assert indices.tolist() == list(range(count))
    images = torch.cat([batch["image"] for batch in data.extraction_dataloader("train")])
    source = data.train_dataset.source
    assert torch.equal(images[17], TRANSFORM(source.load(17)))


def test_extraction_without_validation_images() -> None:
    with pytest.raises(ValueError, match="no validation images"):
        ready().extraction_dataloader("val")


NORMALIZED = [
    v2.PILToTensor(),
    v2.ToDtype(torch.float32, scale=True),
    v2.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]),
]
EVALUATED = v2.Compose([v2.Resize(8), v2.CenterCrop(8), *NORMALIZED])
CROP_AND_COLOUR = v2.Compose([v2.RandomResizedCrop(8), v2.ColorJitter(0.4, 0.4), *NORMALIZED])


def on_this_machine(data: ImageDataModule, precision: Any = None) -> ImageDataModule:
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    data.trainer = trainer
    if precision is not None:
        trainer.strategy.precision_plugin = precision
    return data


@pytest.mark.filterwarnings("ignore:.*pin_memory")  # without a GPU nothing is pinned
@pytest.mark.parametrize("num_views", [1, 2])
def test_images_go_to_a_gpu_as_pixels_and_become_the_same_numbers(num_views: int) -> None:
    settings: dict[str, Any] = {
        "train_transform": CROP_AND_COLOUR,
        "eval_transform": EVALUATED,
        "num_views": num_views,
        "val": partial(toy, 12),
    }
    expected, data = on_rank(ready(**settings), 0, 1), on_rank(ready(**settings), 0, 1, "cuda")

    def loaders(module: ImageDataModule) -> list[Any]:
        rows = np.array([3, 1])
        return [
            module.train_dataloader(),
            *(module.extraction_dataloader(split) for split in ("train", "val")),
            *(module.rows_dataloader(rows, views=views) for views in (False, True)),
        ]

    for loader, ours in zip(loaders(expected), loaders(data), strict=True):
        batch = next(iter(ours))
        assert batch["image"].dtype == torch.uint8
        there = data.on_after_batch_transfer(batch, 0)
        assert torch.equal(there["image"], next(iter(loader))["image"])


def test_pixels_become_numbers_in_the_precision_of_the_trainer() -> None:
    data = on_this_machine(make(train_transform=CROP_AND_COLOUR, eval_transform=EVALUATED))
    data.setup("fit")
    pixels = {"image": torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)}
    exact = data.on_after_batch_transfer(dict(pixels), 0)["image"]
    assert exact.dtype == torch.float32
    data = on_this_machine(data, HalfPrecision("bf16-true"))
    assert torch.equal(data.on_after_batch_transfer(pixels, 0)["image"], exact.bfloat16())


@pytest.mark.filterwarnings("ignore:.*pin_memory")
def test_images_go_as_numbers_where_training_and_evaluation_normalise_differently() -> None:
    other = v2.Compose([*EVALUATED.transforms[:-1], v2.Normalize([0.4] * 3, [0.2] * 3)])
    data = on_rank(ready(train_transform=CROP_AND_COLOUR, eval_transform=other), 0, 1, "cuda")
    assert next(iter(data.train_dataloader()))["image"].dtype == torch.float32


def test_held_back_images_are_in_the_data_set_but_in_no_batch() -> None:
    data = ready(partial(toy, 260), held_back=0.1)
    rows = data.held_back_rows
    assert len(rows) == 50
    assert data.num_samples == 260
    loader = data.train_dataloader()
    indices = torch.cat([batch["index"] for batch in loader])
    assert len(loader) == 210 // 8
    assert not set(indices.tolist()) & set(rows.tolist())
    evaluated = torch.cat([batch["index"] for batch in data.extraction_dataloader("train")])
    assert evaluated.tolist() == list(range(260))


def test_some_rows_are_shared_out_and_their_views_are_always_the_same() -> None:
    crop = v2.Compose(
        [v2.RandomCrop(8, padding=4), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    )
    data = ready(partial(toy, 260), train_transform=crop)
    rows = np.array([7, 30, 31, 200, 259])
    plain = [batch for rank in range(2) for batch in data.rows_dataloader(rows, rank, 2)]
    assert torch.cat([batch["index"] for batch in plain]).tolist() == rows.tolist()
    dataset = data.extraction_dataloader("train").dataset
    evaluated = torch.stack([dataset[int(row)]["image"] for row in rows])
    assert torch.equal(torch.cat([batch["image"] for batch in plain]), evaluated)

    state = torch.get_rng_state()
    (views,) = data.rows_dataloader(rows[:2], views=True)
    assert torch.equal(torch.get_rng_state(), state)
    assert views["image"].shape == (2, 4, 3, 8, 8)
    assert not torch.equal(views["image"][:, 0], views["image"][:, 1])
    again = [batch for rank in range(2) for batch in data.rows_dataloader(rows[:2], rank, 2, True)]
    assert torch.equal(torch.cat([batch["image"] for batch in again]), views["image"])


@pytest.mark.parametrize("share", [-0.1, 0.3])
def test_a_share_to_hold_back_that_is_not_possible(share: float) -> None:
    with pytest.raises(ValueError, match=rf"data\.held_back={share}; expected a share .* to 0\.2"):
        make(held_back=share)


def test_only_trained_images_fill_batches() -> None:
    with pytest.raises(ValueError, match=r"80 images do not fill a batch of data\.batch_size=90"):
        ready(partial(toy, 100), batch_size=90, held_back=0.2)
