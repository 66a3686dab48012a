"""The part of an augmentation that the dataloader workers do for ``data.augment_on=gpu``.

The workers decode, apply the transforms that change the size, and draw the random parameters of the
other transforms. `gpu_augmentation` then applies those to a whole batch. torchvision draws, in the
order of the transforms, so a view gets the same parameters as under ``data.augment_on=cpu``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from odc_lightning.data.dataset import IndexedDataset, Key, Sample, Transform
from odc_lightning.data.sources import ImageSource
from odc_lightning.data.transforms import Lighting

Numbers = NDArray[np.float32]
Params = dict[str, Any]

_FACTORS = ("brightness_factor", "contrast_factor", "saturation_factor", "hue_factor")
_SIZING = (v2.RandomResizedCrop, v2.RandomCrop, v2.CenterCrop, v2.Resize)
_INTERPOLATIONS = (v2.InterpolationMode.NEAREST, v2.InterpolationMode.BILINEAR)
_NESTING = (v2.Compose, v2.RandomApply)
_WITH_PROBABILITY = (
    v2.RandomHorizontalFlip,
    v2.RandomVerticalFlip,
    v2.RandomGrayscale,
    v2.RandomErasing,
)


class Drawn(NamedTuple):
    """How many numbers a transform draws for an image, and how to read them from its parameters."""

    width: int
    numbers: Callable[[Params], Sequence[float]]


def _colours(params: Params) -> list[float]:
    factors = [params[name] for name in _FACTORS]
    return [*params["fn_idx"].tolist(), *(math.nan if f is None else f for f in factors)]


def _rectangle(params: Params) -> list[float]:
    if params["v"] is None:  # ten tries did not fit into the image
        return [math.nan] * 4
    return [params["i"], params["j"], params["h"], params["w"]]


# The transforms that can be applied to a batch. A flip or gray draws only whether it is applied.
DRAWN: dict[type, Drawn] = {
    v2.RandomHorizontalFlip: Drawn(1, lambda params: [1]),
    v2.RandomVerticalFlip: Drawn(1, lambda params: [1]),
    v2.RandomRotation: Drawn(1, lambda params: [params["angle"]]),
    v2.ColorJitter: Drawn(8, _colours),
    v2.RandomGrayscale: Drawn(1, lambda params: [1]),
    v2.GaussianBlur: Drawn(2, lambda params: params["sigma"]),
    v2.RandomErasing: Drawn(4, _rectangle),
    v2.PILToTensor: Drawn(0, lambda params: []),
    v2.ToImage: Drawn(0, lambda params: []),
    v2.ToDtype: Drawn(0, lambda params: []),
    Lighting: Drawn(3, lambda params: params["colour"].tolist()),
    v2.Normalize: Drawn(0, lambda params: []),
}


def leaves(transforms: Sequence[Any]) -> list[Any]:
    """The transforms in order, with every Compose and RandomApply unpacked."""
    flat = []
    for transform in transforms:
        inner = isinstance(transform, _NESTING)
        flat += leaves(list(transform.transforms)) if inner else [transform]
    return flat


def count(transforms: Sequence[Any]) -> int:
    """How many numbers the transforms draw for an image."""
    return sum(DRAWN[type(leaf)].width for leaf in leaves(transforms))


def draw(transforms: Sequence[Any], image: Tensor) -> list[float]:
    """Draw the transforms' random parameters for an image of this size, without applying them.

    Args:
        transforms: types in `DRAWN`, alone or in a Compose or RandomApply.
        image: (3, H, W).

    Returns:
        `count` numbers; NaN for a transform that is not applied.
    """
    numbers: list[float] = []
    for transform in transforms:
        chance = isinstance(transform, (v2.RandomApply, *_WITH_PROBABILITY))
        if chance and torch.rand(1) >= transform.p:
            numbers += [math.nan] * count([transform])
        elif isinstance(transform, _NESTING):
            numbers += draw(list(transform.transforms), image)
        else:
            numbers += DRAWN[type(transform)].numbers(transform.make_params([image]))
    return numbers


class SizedView:
    """The dataloader worker's part of an augmentation.

    Args:
        sizing: transforms up to the last one that changes the size.
        later: the transforms after it.
    """

    def __init__(self, sizing: Sequence[Any], later: Sequence[Any]) -> None:
        self.sizing = sizing
        self.later = later

    def __call__(self, image: Image.Image) -> tuple[Tensor, Numbers]:
        """The view (3, H, W) in uint8, and the numbers drawn for the later transforms."""
        view: Any = image
        for transform in self.sizing:
            view = transform(view)
        if not isinstance(view, Tensor):
            view = v2.functional.pil_to_tensor(view)
        return view.as_subclass(Tensor), np.asarray(draw(self.later, view), np.float32)


class DrawnDataset(IndexedDataset):
    """`IndexedDataset` with views in uint8 and the parameters of the later transforms.

    A sample has `drawn`, the float32 numbers of all its views, encoded as one character per byte.
    As text they stay on the CPU, which needs them to choose rows, and keep full precision.
    Lightning would move a tensor to the device and convert it to bfloat16 under
    ``precision=bf16-true``; `bytes` it would traverse byte by byte.
    """

    def __init__(self, source: ImageSource, view: SizedView, seed: int, num_views: int) -> None:
        super().__init__(source, view, seed, num_views)  # type: ignore[arg-type]

    def __getitem__(self, key: Key) -> Sample:
        drawn_views: list[Any] = self.views(key)
        views = [view for view, _ in drawn_views]
        numbers = np.concatenate([drawn for _, drawn in drawn_views])
        return {**self.sample(key, views), "drawn": numbers.tobytes().decode("latin-1")}


def split(transform: Transform) -> SizedView:
    """Divide an augmentation after the last transform that changes the size.

    Raises:
        ValueError: if `transform` is not a Compose, or if a later transform cannot be applied to a
            batch.
    """
    if not isinstance(transform, v2.Compose):
        raise ValueError(
            f"data.augment_on=gpu and data.train_transform is a {type(transform).__name__}; "
            "expected torchvision.transforms.v2.Compose. Use one, or set data.augment_on=cpu"
        )
    steps = _flat(transform)
    first = 1 + max((i for i, step in enumerate(steps) if _changes_size(step)), default=-1)
    sizing, later = steps[:first], steps[first:]
    for step in leaves(sizing):
        if isinstance(step, v2.ToDtype | v2.Normalize):
            raise ValueError(
                f"data.augment_on=gpu and data.train_transform has {step} before a crop; expected "
                "8-bit images up to the crop. Put it after the crop, or set data.augment_on=cpu"
            )
    for step in leaves(later):
        if (reason := _cannot(step)) is not None:
            names = ", ".join(kind.__name__ for kind in DRAWN)
            raise ValueError(
                f"data.augment_on=gpu cannot apply {step} to a batch{reason}; expected only "
                f"{names} after the last crop, alone or in a RandomApply. Set data.augment_on=cpu "
                "to use it"
            )
    return SizedView(sizing, later)


def _flat(transform: v2.Compose) -> list[Any]:
    """The steps with every Compose unpacked; a RandomApply counts as one step."""
    steps = []
    for step in transform.transforms:
        steps += _flat(step) if isinstance(step, v2.Compose) else [step]
    return steps


def _changes_size(step: Any) -> bool:
    return any(
        isinstance(leaf, _SIZING) or (isinstance(leaf, v2.RandomRotation) and leaf.expand)
        for leaf in leaves([step])
    )


def _cannot(step: Any) -> str | None:
    """Why a transform cannot be applied to a batch, or None if it can."""
    if type(step) not in DRAWN:
        return ""
    if isinstance(step, v2.RandomRotation):
        if step.center is not None:
            return " about another centre"
        if step.interpolation not in ("nearest", "bilinear", *_INTERPOLATIONS):
            return " with this interpolation"
        if isinstance(step.fill, dict):
            return " with this fill"
    if isinstance(step, v2.RandomErasing) and step.value is None:
        return " with a random value"
    if isinstance(step, v2.ToDtype) and not (step.dtype == torch.float32 and step.scale):
        return ", where images are float32 from 0 to 1"
    return None
