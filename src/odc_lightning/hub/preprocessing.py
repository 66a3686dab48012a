"""Description of the image preprocessing in transformers' format."""

from typing import Any

import torch
from torchvision.transforms import v2

from odc_lightning.data.transforms import RESAMPLING


def describe(transform: Any) -> dict[str, Any]:
    """The steps of an evaluation transform, as in transformers' ``preprocessor_config.json``.

    Args:
        transform: a composition of a resize, a centre crop, a conversion to numbers from 0 to 1,
            and a normalisation.

    Returns:
        The content of the file. Sizes are ``{"shortest_edge": 256}`` or ``{"height": 224, "width":
        224}``; resampling is Pillow's number.

    Raises:
        ValueError: if the transform has another step.
    """
    config: dict[str, Any] = {
        "do_resize": False,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
    }
    for step in _steps(transform):
        match step:
            case v2.Resize(size=size) if not config["do_center_crop"] and not config["do_resize"]:
                config |= {"do_resize": True, "size": _size(list(size))}
                # An enumeration, its value, or Pillow's number, as in the config.
                name = getattr(step.interpolation, "value", step.interpolation)
                config["resample"] = RESAMPLING.get(name, name)
            case v2.CenterCrop(size=size):
                height, width = size
                crop = {"height": height, "width": width}
                config |= {"do_center_crop": True, "crop_size": crop}
            case v2.PILToTensor():
                pass
            case v2.ToDtype(dtype=torch.float32, scale=True):
                pass
            case v2.Normalize(mean=mean, std=std):
                config |= {"do_normalize": True, "image_mean": list(mean), "image_std": list(std)}
            case _:
                raise ValueError(
                    f"{step} cannot be described in a preprocessor_config.json; expected Resize, "
                    "CenterCrop, PILToTensor, ToDtype(float32, scale=True) and Normalize"
                )
    return config


def _steps(transform: Any) -> list[Any]:
    if isinstance(transform, v2.Compose):
        return [step for each in transform.transforms for step in _steps(each)]
    return [transform]


def _size(size: list[int]) -> dict[str, int]:
    if len(size) == 1:
        return {"shortest_edge": size[0]}
    return {"height": size[0], "width": size[1]}
