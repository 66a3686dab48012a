"""The augmentation of a sample depends on seed, epoch and index, and on nothing else."""

import random

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from helpers.paths import CONF
from odc_lightning.data import ArraySource, EpochSampler, IndexedDataset
from odc_lightning.data.dataset import Transform, sample_seed, seeded
from odc_lightning.data.loader import ResumableLoader

SHIPPED = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml"))


def shipped(name: str) -> Transform:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        settings = [
            "+data.image_size=16",
            "+data.view_size=16",
            "+data.flip=0.5",
            "+data.crop=[0.3, 1.0]",
        ]
        config = compose(overrides=[f"+augmentation@data.transform={name}", *settings])
    transform: Transform = instantiate(config.data.transform)
    return transform


def toy_dataset(transform: str = "imagenet", seed: int = 0, num_views: int = 1) -> IndexedDataset:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 30, 3), dtype=np.uint8)
    return IndexedDataset(ArraySource(pixels, "toy"), shipped(transform), seed, num_views)


def one_epoch(dataset: IndexedDataset, epoch: int, num_workers: int) -> dict[int, Tensor]:
    sampler = EpochSampler(len(dataset), seed=0)
    loader = ResumableLoader(dataset, 5, sampler=sampler, num_workers=num_workers)
    sampler.set_epoch(epoch)
    return {
        int(index): image
        for batch in loader
        for index, image in zip(batch["index"], batch["image"], strict=True)
    }


def test_sample_has_an_image_and_an_index_only() -> None:
    sample = toy_dataset()[(3, 7, 0)]
    assert set(sample) == {"image", "index"}
    assert sample["image"].dtype == torch.float32
    assert sample["image"].shape == (3, 16, 16)
    assert type(sample["image"]) is Tensor
    assert sample["index"] == 7


def test_plain_index_means_epoch_zero() -> None:
    dataset = toy_dataset()
    assert torch.equal(dataset[4]["image"], dataset[(0, 4, 0)]["image"])


def test_number_of_workers_changes_nothing() -> None:
    dataset = toy_dataset()
    alone, one, two = (one_epoch(dataset, 3, num_workers) for num_workers in (0, 1, 2))
    assert set(alone) == set(range(24))
    for index, image in alone.items():
        assert torch.equal(image, one[index])
        assert torch.equal(image, two[index])
        assert torch.equal(image, dataset[(3, index, 0)]["image"])


@pytest.mark.parametrize("other", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_seed_epoch_and_index_all_matter(other: tuple[int, int, int]) -> None:
    pixels = np.tile(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8), (2, 1, 1, 1))

    def view(seed: int, epoch: int, index: int) -> Tensor:
        dataset = IndexedDataset(ArraySource(pixels, "toy"), shipped("imagenet"), seed)
        return dataset[(epoch, index, 0)]["image"]

    assert not torch.equal(view(0, 0, 0), view(*other))


def test_an_image_that_occurs_again_is_augmented_anew() -> None:
    dataset = toy_dataset()
    views = [dataset[(0, 5, copy)]["image"] for copy in (0, 1, 2)]
    assert not torch.equal(views[0], views[1])
    assert not torch.equal(views[1], views[2])
    assert sample_seed(1, 2, 3, 0) == sample_seed(1, 2, 3)


def test_views_are_different_draws_and_the_first_is_that_of_one_alone() -> None:
    one, two = toy_dataset(), toy_dataset(num_views=2)
    image = two[(3, 7, 0)]["image"]
    assert image.shape == (2, 3, 16, 16)
    assert torch.equal(image[0], one[(3, 7, 0)]["image"])
    assert not torch.equal(image[0], image[1])
    assert torch.equal(image, two[(3, 7, 0)]["image"])
    assert not torch.equal(image, two[(4, 7, 0)]["image"])
    alone, workers = one_epoch(two, 3, 0), one_epoch(two, 3, 2)
    assert all(torch.equal(alone[index], workers[index]) for index in range(24))


def test_seeds_do_not_meet_on_a_grid() -> None:
    low = {
        sample_seed(s, e, i) & 0xFFFFFFFF for s in range(10) for e in range(10) for i in range(10)
    }
    assert len(low) == 1000


def global_states() -> tuple[list[int], str, object]:
    """Of the generators of torch, NumPy and Python."""
    return torch.get_rng_state().tolist(), str(np.random.get_state()), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_transforms_draw_from_torch_alone_and_put_it_back(name: str) -> None:
    dataset = toy_dataset(name)
    first = dataset[(2, 3, 0)]["image"]
    for seed in (1, 2):  # whatever the global generators are at, the view is the same
        pl.seed_everything(seed, verbose=False)
        before = global_states()
        assert torch.equal(dataset[(2, 3, 0)]["image"], first)
        assert global_states() == before


@pytest.mark.parametrize("name", [name for name in SHIPPED if not name.endswith("_eval")])
def test_training_views_differ_between_epochs(name: str) -> None:
    dataset = toy_dataset(name)
    assert not torch.equal(dataset[(0, 1, 0)]["image"], dataset[(1, 1, 0)]["image"])


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.endswith("_eval")])
def test_evaluation_views_are_fixed(name: str) -> None:
    dataset = toy_dataset(name)
    assert torch.equal(dataset[(0, 1, 0)]["image"], dataset[(1, 1, 0)]["image"])


def test_generator_is_put_back_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), seeded(5):
        torch.rand(1).item() / 0
    assert torch.equal(before, torch.get_rng_state())
