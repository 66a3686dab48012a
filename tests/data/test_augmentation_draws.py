"""How an augmentation is divided, and that what is drawn is what torchvision would draw."""

import math
import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from data.test_dataset import SHIPPED, shipped
from odc_lightning.data import ArraySource
from odc_lightning.data.augmentation_draws import DrawnDataset, SizedView, count, draw, split
from odc_lightning.utils.seeds import seeded

FLOAT = (v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True))
CROP, FLIP, JITTER = v2.RandomResizedCrop(16), v2.RandomHorizontalFlip(), v2.ColorJitter(0.4)


def names(steps: object) -> list[str]:
    return [type(step).__name__ for step in steps]  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_augmentation_is_divided_and_pickled(name: str) -> None:
    transform = shipped(name)
    view = split(transform)
    parts = [*view.sizing, *view.later]
    assert any("Crop" in name or name == "Resize" for name in names(view.sizing))
    last = [step for step in names(view.later) if step != "Lighting"]
    assert last[-3:] == ["PILToTensor", "ToDtype", "Normalize"] or name == "small_views"
    assert [id(step) for step in parts if step in transform.transforms] == [  # type: ignore[attr-defined]
        id(step)
        for step in transform.transforms  # type: ignore[attr-defined]
        if step in parts
    ]
    copy = pickle.loads(pickle.dumps(view))
    image = Image.new("RGB", (40, 30), "red")
    with seeded(1):
        one = view(image)
    with seeded(1):
        other = copy(image)
    assert torch.equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
    assert one[0].dtype == torch.uint8
    assert one[0].shape == (3, 16, 16)
    assert len(one[1]) == count(view.later)


def test_what_comes_before_the_last_crop_stays_with_it() -> None:
    view = split(v2.Compose([v2.Resize(20), FLIP, v2.Compose([v2.RandomCrop(16), JITTER]), *FLOAT]))
    assert names(view.sizing) == ["Resize", "RandomHorizontalFlip", "RandomCrop"]
    assert names(view.later) == ["ColorJitter", "PILToTensor", "ToDtype"]
    expanding = split(v2.Compose([CROP, v2.RandomRotation(5, expand=True), *FLOAT]))
    assert names(expanding.sizing) == ["RandomResizedCrop", "RandomRotation"]
    assert names(split(v2.Compose([FLIP, *FLOAT])).sizing) == []


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([CROP, v2.RandAugment(), *FLOAT], r"cannot apply RandAugment\(.*\) to a batch; expected"),
        (
            [CROP, v2.RandomApply([v2.RandomInvert()]), *FLOAT],
            r"cannot apply RandomInvert\(p=0.5\)",
        ),
        ([*FLOAT, CROP], r"has ToDtype\(scale=True\) before a crop"),
        ([CROP, *FLOAT[:1], v2.ToDtype(torch.float32)], "float32 from 0 to 1"),
        ([CROP, v2.RandomRotation(5, center=[0, 0]), *FLOAT], "about another centre"),
        ([CROP, v2.RandomRotation(5, v2.InterpolationMode.BICUBIC), *FLOAT], "interpolation"),
        ([CROP, *FLOAT, v2.RandomErasing(value="random")], "with a random value"),
    ],
)
def test_what_cannot_be_done_in_batch_is_refused(steps: list[v2.Transform], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        split(v2.Compose(steps))
    assert "data.augment_on=cpu" in str(error.value)


def test_something_else_than_a_compose_is_refused() -> None:
    with pytest.raises(ValueError, match=r"is a RandomResizedCrop; expected .*v2\.Compose"):
        split(CROP)


@pytest.mark.parametrize(
    "transform",
    [
        v2.RandomHorizontalFlip(0.3),
        v2.RandomRotation(20),
        v2.ColorJitter(0.4, 0, 1.0, 0.5),
        v2.RandomApply([v2.ColorJitter(0.4), v2.RandomGrayscale(0.5)], p=0.4),
        v2.GaussianBlur(3),
        v2.RandomErasing(0.5),
        v2.RandomErasing(1.0, scale=(0.99, 1.0)),  # hardly ever fits
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_it_takes_the_random_numbers_that_torchvision_takes(transform: v2.Transform) -> None:
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    widths = set()
    for seed in range(30):
        with seeded(seed):
            numbers = draw([transform], image)
            ours = torch.rand(3)
        with seeded(seed):
            transform(image)
            theirs = torch.rand(3)
        assert torch.equal(ours, theirs)
        widths.add(len(numbers))
    assert widths == {count([transform])}


def test_numbers_are_missing_where_nothing_is_to_be_done() -> None:
    image = torch.zeros(3, 16, 16, dtype=torch.uint8)
    never = v2.RandomApply([v2.ColorJitter(0.4), v2.RandomGrayscale(1.0)], p=0.0)
    assert all(map(math.isnan, draw([never], image)))
    *order, brightness, contrast, saturation, hue = draw([JITTER], image)
    assert sorted(order) == [0, 1, 2, 3]
    assert 0.6 <= brightness <= 1.4
    assert all(map(math.isnan, (contrast, saturation, hue)))


def test_samples_travel_in_eight_bits_with_their_numbers() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8)
    view = SizedView([CROP], [FLIP, JITTER, *FLOAT])
    dataset = DrawnDataset(ArraySource(pixels, "toy"), view, seed=0, num_views=2)
    sample, again = dataset[(1, 2, 0)], dataset[(1, 2, 0)]
    assert sample["index"] == 2
    assert sample["image"].dtype == torch.uint8
    assert sample["image"].shape == (2, 3, 16, 16)
    numbers = np.frombuffer(sample["drawn"].encode("latin-1"), np.float32).reshape(2, 9)
    assert not np.array_equal(*numbers)
    assert sample["drawn"] == again["drawn"] != dataset[(2, 2, 0)]["drawn"]
