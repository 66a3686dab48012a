"""The quick ending gives torchvision's numbers, and stands in for nothing else."""

import pickle
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from data.test_dataset import SHIPPED, shipped
from odc_lightning.data import ArraySource, IndexedDataset
from odc_lightning.data.fast_normalize import NormalizedPixels, shared_ending, with_quick_ending
from odc_lightning.utils.seeds import seeded

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ENDING = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
LEVELS = np.arange(256, dtype=np.uint8).reshape(8, 32)


@pytest.mark.parametrize(("mean", "std"), [(MEAN, STD), ([0.5] * 3, [0.5] * 3), ([0.1], [0.3])])
def test_every_level_of_every_channel_to_the_bit(mean: list[float], std: list[float]) -> None:
    image = Image.fromarray(np.stack([LEVELS, LEVELS[::-1], LEVELS.T.reshape(8, 32)], axis=2))
    expected = v2.Compose([*ENDING[:2], v2.Normalize(mean, std)])(image)
    result = NormalizedPixels(mean, std)(image)
    assert torch.equal(result, expected)
    assert result.is_contiguous()


def test_a_gray_image_keeps_its_one_channel() -> None:
    image = Image.fromarray(LEVELS)
    expected = v2.Compose([*ENDING[:2], v2.Normalize([0.5], [0.2])])(image)
    assert torch.equal(NormalizedPixels([0.5], [0.2])(image), expected)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_augmentations_give_the_same_views(name: str) -> None:
    transform: Any = shipped(name)
    quick = pickle.loads(pickle.dumps(with_quick_ending(transform)))
    ends_otherwise = name == "small_views" or name.startswith("imagenet_linear")  # with lighting
    assert isinstance(quick.transforms[-1], NormalizedPixels) != ends_otherwise
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    for seed in range(5):
        with seeded(seed):
            expected = transform(image)
        with seeded(seed):
            assert torch.equal(quick(image), expected)


def test_a_data_set_still_shows_the_transform_that_it_was_given() -> None:
    transform = v2.Compose(ENDING)  # what features on disk are known by
    source = ArraySource(np.zeros((1, 8, 8, 3), np.uint8), "toy")
    dataset = IndexedDataset(source, transform)
    assert dataset.transform is transform
    assert torch.equal(dataset[0]["image"], transform(source.load(0)))


@pytest.mark.parametrize(
    "transform",
    [
        v2.Compose(ENDING[:2]),
        v2.Compose([ENDING[0], v2.ToDtype(torch.float32, scale=False), ENDING[2]]),
        v2.Compose([ENDING[0], v2.ToDtype(torch.float64, scale=True), ENDING[2]]),
        v2.Compose([*ENDING, v2.RandomErasing()]),
        v2.Compose([*ENDING[:2], v2.Normalize(MEAN, [0.2, 0.0, 0.2])]),  # torchvision refuses it
        ENDING[2],
        len,
    ],
)
def test_any_other_ending_is_left_alone(transform: Any) -> None:
    assert with_quick_ending(transform) is transform


def test_what_is_no_rgb_image_goes_the_usual_way() -> None:
    """A gray image under three means, and a tensor that another transform has made."""
    usual = v2.Compose(
        [
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.1, 0.2, 0.3], [1.0, 0.5, 0.2]),
        ]
    )
    gray = Image.fromarray(np.arange(36, dtype=np.uint8).reshape(6, 6))
    for image in (gray, v2.functional.pil_to_tensor(gray.convert("RGB"))):
        assert torch.equal(with_quick_ending(usual)(image), usual(image))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_pixels_that_are_normalised_later_are_the_same_numbers(mode: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    pixels = with_quick_ending(v2.Compose(ENDING), later=True)(image)
    assert pixels.dtype == torch.uint8
    ending = shared_ending(v2.Compose(ENDING))
    assert ending is not None
    expected = v2.Compose(ENDING)(image.convert("RGB"))
    assert torch.equal(ending.normalize(torch.stack([pixels, pixels]))[1], expected)


def test_an_ending_is_shared_if_all_its_numbers_are() -> None:
    one, other = v2.Compose(ENDING), v2.Compose([*ENDING[:2], v2.Normalize([0.1] * 3, STD)])
    assert shared_ending(one, v2.Compose([v2.Resize(8), *ENDING])) is not None
    assert shared_ending(one, other) is None
    assert shared_ending(one, len) is None
