"""Augmentation in batch beside torchvision's, image by image, and as distributions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp  # type: ignore[import-untyped]
from sklearn.datasets import load_sample_images
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from data.test_dataset import SHIPPED, shipped
from odc_lightning.data import ArraySource, IndexedDataset, gpu_augmentation
from odc_lightning.data.augmentation_draws import DrawnDataset, split
from odc_lightning.data.dataset import Transform

pytest.importorskip("kornia")

SIZE = 16
FLOAT = (v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True))
TRAINING = [name for name in SHIPPED if not name.endswith("_eval")]


def photos(count: int, height: int = 24, width: int = 32, seed: int = 0) -> ArraySource:
    """Pieces of scikit-learn's two photographs."""
    whole = np.stack(load_sample_images().images)
    rng = np.random.default_rng(seed)
    corners = zip(
        rng.integers(whole.shape[1] - height, size=count),
        rng.integers(whole.shape[2] - width, size=count),
        strict=True,
    )
    pieces = [whole[i % 2, y : y + height, x : x + width] for i, (y, x) in enumerate(corners)]
    return ArraySource(np.stack(pieces), "photo")


def by_one(source: ArraySource, transform: Transform, seed: int = 0, views: int = 1) -> Tensor:
    dataset = IndexedDataset(source, transform, seed, views)
    images = torch.stack([dataset[index]["image"] for index in range(len(dataset))])
    return images.view(-1, *images.shape[-3:])


def in_batch(source: ArraySource, transform: Transform, seed: int = 0, views: int = 1) -> Tensor:
    view = split(transform)
    dataset = DrawnDataset(source, view, seed, views)
    samples = [dataset[index] for index in range(len(dataset))]
    images = torch.stack([sample["image"] for sample in samples])
    images = images.view(-1, *images.shape[-3:])
    drawn = np.frombuffer(
        "".join(sample["drawn"] for sample in samples).encode("latin-1"), np.float32
    )
    return gpu_augmentation.BatchedAugmentation(view.later)(images, drawn.reshape(len(images), -1))


def levels(one: Tensor, other: Tensor, std: Any = (1, 1, 1)) -> Tensor:
    """How far apart images are, as the mean over pixels, in levels of 255."""
    return ((one - other) * torch.tensor(std).view(3, 1, 1) * 255).abs().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("name", [name for name in TRAINING if name != "imagenet_blur"])
def test_every_view_is_the_one_that_would_be_made_by_the_cpu(name: str) -> None:
    transform: Any = shipped(name)
    std, source = transform.transforms[-1].std, photos(40)
    expected = by_one(source, transform, seed=3, views=2)
    result = in_batch(source, transform, seed=3, views=2)
    assert result.dtype == torch.float32
    # Up to four roundings to 8 bits, and hue in 8-bit HSV, that colours then amplify.
    difference = levels(result, expected, std)
    assert difference.max() < 6
    assert difference.mean() < 2
    assert levels(result, expected.roll(1, 0), std).mean() > 30


def test_blur_of_some_images_among_jitter_of_some() -> None:
    jitter = v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8)
    blur = v2.RandomApply([v2.GaussianBlur(7, sigma=(0.1, 2.0))], p=0.5)
    transform = v2.Compose([v2.RandomResizedCrop(SIZE), jitter, v2.RandomGrayscale(0.2), blur])
    source = photos(60)
    expected = by_one(source, v2.Compose([transform, *FLOAT]))
    result = in_batch(source, v2.Compose([transform, *FLOAT]))
    assert levels(result, expected).max() < 6
    assert levels(result, expected).mean() < 2


FUNCTIONS: dict[str, tuple[Any, float, Callable[[Tensor], Tensor]]] = {
    "brighter": (v2.ColorJitter((1.4, 1.4)), 1, lambda i: F.adjust_brightness(i, 1.4)),
    "darker": (v2.ColorJitter((0.3, 0.3)), 1, lambda i: F.adjust_brightness(i, 0.3)),
    "contrast": (v2.ColorJitter(contrast=(1.6, 1.6)), 2, lambda i: F.adjust_contrast(i, 1.6)),
    "flat": (v2.ColorJitter(contrast=(0.2, 0.2)), 2, lambda i: F.adjust_contrast(i, 0.2)),
    "colourful": (v2.ColorJitter(saturation=(2, 2)), 2, lambda i: F.adjust_saturation(i, 2.0)),
    "pale": (v2.ColorJitter(saturation=(0.1, 0.1)), 2, lambda i: F.adjust_saturation(i, 0.1)),
    "hue": (v2.ColorJitter(hue=(0.3, 0.3)), 1, lambda i: F.adjust_hue(i, 0.3)),
    "hue back": (v2.ColorJitter(hue=(-0.2, -0.2)), 1, lambda i: F.adjust_hue(i, -0.2)),
    "gray": (v2.RandomGrayscale(1.0), 1, lambda i: F.rgb_to_grayscale(i, 3)),
    "flip": (v2.RandomHorizontalFlip(1.0), 0, F.horizontal_flip),
    "upside down": (v2.RandomVerticalFlip(1.0), 0, F.vertical_flip),
    "blur": (v2.GaussianBlur((5, 3), (1.2, 1.2)), 1, lambda i: F.gaussian_blur(i, [5, 3], [1.2])),
    "rotation": (v2.RandomRotation((7, 7)), 0, lambda i: F.rotate(i, 7)),
    "smooth rotation": (
        v2.RandomRotation((20, 20), v2.InterpolationMode.BILINEAR),
        1,
        lambda i: F.rotate(i, 20, v2.InterpolationMode.BILINEAR),
    ),
    "rotation on a colour": (
        v2.RandomRotation((-30, -30), fill=[90, 120, 200]),
        0,
        lambda i: F.rotate(i, -30, fill=[90, 120, 200]),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_transform_with_fixed_numbers_is_torchvisions_function(name: str) -> None:
    transform, most, function = FUNCTIONS[name]
    source = photos(8)
    images = torch.stack([F.pil_to_tensor(source.load(index)) for index in range(8)])
    expected = torch.stack([function(image) for image in images])
    result = in_batch(source, v2.Compose([transform, *FLOAT])) * 255
    difference = (result - expected).abs()
    assert difference.max() < most + 0.1  # the functions round to 8 bits, or cut off
    assert (result - images).abs().mean() > 1


def test_erasing_with_fixed_numbers_is_torchvisions_function() -> None:
    images = torch.rand(3, 3, 10, 12)
    rectangles = torch.tensor([[0.0, 0, 3, 12], [4, 2, 1, 1], [9, 11, 1, 1]])
    value = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)
    expected = [
        F.erase(image, *map(int, rectangle), v=value)
        for image, rectangle in zip(images, rectangles, strict=True)
    ]
    assert torch.equal(gpu_augmentation.erase(images, rectangles, value), torch.stack(expected))


@pytest.mark.parametrize("before", [True, False], ids=["in 8 bits", "in float"])
def test_the_colour_of_what_is_erased_is_in_the_images_unit(before: bool) -> None:
    erasing = v2.RandomErasing(1.0, value=(200, 100, 50) if before else (0.8, 0.4, 0.2))
    steps = [FLOAT[0], erasing, FLOAT[1]] if before else [*FLOAT, erasing]
    source = photos(10)
    difference = by_one(source, v2.Compose(steps)) - in_batch(source, v2.Compose(steps))
    assert difference.abs().max() < 1e-6


def ramp(count: int) -> ArraySource:
    """Reddish images of 12 x 16, brighter on the left."""
    row = np.linspace(180, 40, SIZE)[:, None] * (1, 0.5, 0.7)
    return ArraySource(np.tile(row.astype(np.uint8), (count, 12, 1, 1)), "ramp")


def share(condition: Tensor) -> Tensor:
    return condition.float().flatten(1).mean(dim=1)


def brightness(images: Tensor) -> Tensor:
    return images.mean(dim=(1, 2, 3))


def lopsidedness(images: Tensor) -> Tensor:
    return brightness(images[..., : SIZE // 2]) - brightness(images[..., SIZE // 2 :])


def colour(images: Tensor) -> Tensor:
    return share(images.amax(dim=1) - images.amin(dim=1) > 2 / 255)


ERASED = -1.0
Statistic = Callable[[Tensor], Tensor]
# A transform, another one that would be told from it, and what would tell.
RANDOM: dict[str, tuple[v2.Transform, v2.Transform, Statistic]] = {
    "brightness": (v2.ColorJitter(0.8), v2.ColorJitter(0.6), brightness),
    "contrast": (v2.ColorJitter(0, 0.8), v2.ColorJitter(0, 0.6), lambda i: i.std(dim=(1, 2, 3))),
    "saturation": (
        v2.ColorJitter(0, 0, 1.0),
        v2.ColorJitter(0, 0, 0.8),
        lambda i: (i.amax(dim=1) - i.amin(dim=1)).mean(dim=(1, 2)),
    ),
    "hue": (v2.ColorJitter(hue=0.5), v2.ColorJitter(hue=0.4), lambda i: brightness(i[:, :1])),
    "order": (  # what is cut off at white depends on it
        v2.ColorJitter((2, 4), 0, (2, 4)),
        v2.Compose([v2.ColorJitter((2, 4)), v2.ColorJitter(0, 0, (2, 4))]),
        brightness,
    ),
    "gray": (v2.RandomGrayscale(0.2), v2.RandomGrayscale(0.3), colour),
    "flip": (v2.RandomHorizontalFlip(0.5), v2.RandomHorizontalFlip(0.4), lopsidedness),
    "upside down": (
        v2.Compose([v2.RandomRotation((9, 9)), v2.RandomVerticalFlip(0.5)]),
        v2.Compose([v2.RandomRotation((9, 9)), v2.RandomVerticalFlip(0.6)]),
        lambda i: brightness(i[:, :, :4, :4]) - brightness(i[:, :, -4:, :4]),
    ),
    "rotation": (
        v2.RandomRotation(20),
        v2.RandomRotation((-20, 14)),
        lambda i: brightness(i[:, :, :6]) - brightness(i[:, :, 6:]),
    ),
    "some": (
        v2.RandomApply([v2.ColorJitter(0.8)], p=0.5),
        v2.RandomApply([v2.ColorJitter(0.8)], p=0.7),
        brightness,
    ),
    "erased": (
        v2.Compose([*FLOAT, v2.RandomErasing(0.7, value=ERASED)]),
        v2.Compose([*FLOAT, v2.RandomErasing(0.6, value=ERASED)]),
        lambda i: share(i == ERASED),
    ),
    "erased rows": (
        v2.Compose([*FLOAT, v2.RandomErasing(1, ratio=(0.3, 3.3), value=ERASED)]),
        v2.Compose([*FLOAT, v2.RandomErasing(1, ratio=(0.2, 2.0), value=ERASED)]),
        lambda i: share((i == ERASED).any(dim=3)),
    ),
}


@pytest.mark.parametrize("name", RANDOM)
def test_distributions_are_torchvisions(name: str) -> None:
    transform, wrong, statistic = RANDOM[name]
    source = ramp(1000)
    ending = [] if name.startswith("erased") else FLOAT
    theirs = statistic(by_one(source, v2.Compose([transform, *ending]), seed=1))

    def probability(ours: v2.Transform) -> float:  # of a seed that shares no draw
        values = statistic(in_batch(source, v2.Compose([ours, *ending]), seed=2))
        # Coarser than an 8-bit level, which torchvision's values are rounded to.
        test: Any = ks_2samp(*((each * 100).round().numpy() for each in (theirs, values)))
        return test.pvalue

    assert probability(transform) > 0.01
    assert probability(wrong) < 0.01  # so these are enough images to tell


def test_an_image_does_not_depend_on_its_batch() -> None:
    transform, source = shipped("small_views"), photos(12)
    view = split(transform)
    dataset = DrawnDataset(source, view, 0, 1)
    augment = gpu_augmentation.BatchedAugmentation(view.later)

    def done(*indices: int) -> Tensor:
        samples = [dataset[index] for index in indices]
        drawn = np.frombuffer(
            "".join(sample["drawn"] for sample in samples).encode("latin-1"), np.float32
        )
        images = torch.stack([sample["image"] for sample in samples])
        return augment(images, drawn.reshape(len(samples), -1))

    torch.testing.assert_close(done(*range(12))[7:9], done(7, 8), rtol=0, atol=1e-6)


def test_a_missing_kornia_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_augmentation, "HAS_KORNIA", False)
    with pytest.raises(ValueError, match=r"pip install 'odc-lightning\[kornia\]'"):
        gpu_augmentation.BatchedAugmentation([])
