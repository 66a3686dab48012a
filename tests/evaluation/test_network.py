"""Which images are evaluated, with which classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from odc_lightning.data import ArraySource, ImageDataModule, ImageSource
from odc_lightning.evaluation import EvaluatedNetwork
from odc_lightning.evaluation.network import hold_out
from odc_lightning.models import ConvNet


def source(labels: list[int] | None, prefix: str = "x") -> ArraySource:
    count = 6 if labels is None else len(labels)
    pixels = np.arange(count * 64, dtype=np.uint8).reshape(count, 8, 8)
    return ArraySource(pixels, prefix, None if labels is None else np.array(labels))


def network(train: ImageSource, val: ImageSource | None, **options: Any) -> EvaluatedNetwork:
    from torch import float32
    from torchvision.transforms import v2

    view = v2.Compose([v2.PILToTensor(), v2.ToDtype(float32, scale=True)])
    data = ImageDataModule(lambda: train, (lambda: val) if val else None, view, view, 8, 4)
    data.setup("predict")
    return EvaluatedNetwork(ConvNet(4), data, lambda **_: None, Path(), Path(), **options)  # type: ignore[arg-type]


def test_images_without_a_label_are_left_out_and_classes_have_no_gaps() -> None:
    images = network(source([7, -1, 3, 7, -1]), source([3, 5, 7, -1], "val")).images
    train, val = images["train"], images["val"]
    assert train.classes.tolist() == [1, 0, 1]
    assert [train.source.name(i) for i in range(3)] == ["x/0", "x/2", "x/3"]
    assert train.objects.tolist() == [[-1, 1], [1, -1], [-1, 1]]
    assert val.classes.tolist() == [0, 1]  # class 5 was never trained on
    assert [val.source.name(i) for i in range(2)] == ["val/0", "val/2"]
    assert train.num_classes == val.num_classes == 2


@pytest.mark.parametrize("val", [None, source(None), source([-1] * 6)])
def test_without_a_labelled_validation_split_a_share_is_held_out(val: ImageSource | None) -> None:
    images = network(source([0] * 10 + [1] * 20), val, holdout=0.2).images
    assert np.bincount(images["train"].classes).tolist() == [8, 16]
    assert np.bincount(images["val"].classes).tolist() == [2, 4]
    names = [part.source.name(i) for part in images.values() for i in range(len(part.source))]
    assert sorted(names) == sorted(f"x/{i}" for i in range(30))


def test_the_share_follows_the_seed() -> None:
    labels = source([0] * 10 + [1] * 20)
    first, same, other = (hold_out(labels, 0.2, seed)[1].indices.tolist() for seed in (0, 0, 1))
    assert first == same != other


def test_each_class_is_in_both_parts() -> None:
    for share in (0.01, 0.5, 0.99):
        train, val = hold_out(source([0] * 2 + [1] * 3 + [2] * 40), share, 0)
        assert set(np.unique(train.labels)) == set(np.unique(val.labels)) == {0, 1, 2}  # type: ignore[arg-type]


def test_labels_that_cannot_be_divided() -> None:
    with pytest.raises(ValueError, match="class 1 has only one labelled image"):
        hold_out(source([0, 0, 1]), 0.5, 0)
    with pytest.raises(ValueError, match="needs labels, and the training images have none"):
        _ = network(source(None), None).images
    with pytest.raises(ValueError, match="needs labels, and the training images have none"):
        _ = network(source([-1, -1, -1]), None).images
