"""Checkpoint formats of other projects, and the translation of their keys to the backbones' names.

Backbones have torchvision's names for ResNets, DeepCluster's for AlexNet and VGG, timm's for the
rest. A format says by which key it is recognised, and which of its keys belong to the backbone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from odc_lightning.checkpoints import caffe2
from odc_lightning.checkpoints.conversion import Conversion, Row

# From a key to its name in the backbone (None if it is dropped) and the reason.
Naming = Callable[[str], tuple[str | None, str]]

STEMS = ("conv1.weight", "features.0.weight")  # the first convolutions of ResNets, of AlexNet, VGG
# Where projects keep the weights of a network in a checkpoint, as a path of keys.
_PLACES = (
    ("classy_state_dict", "base_model", "model", "trunk"),  # VISSL
    ("teacher",),  # DINO
    ("model_state_dict",),  # VISSL
    ("state_dict",),
    ("model",),  # timm
    ("blobs",),  # Caffe2
)
# Prefix that DataParallel and DistributedDataParallel put in front of all keys.
_WRAPPED = re.compile(r"(module\.)+")


def by_rules(*rules: tuple[str, str | None, str]) -> Naming:
    """A naming by the first rule that matches the start of a key; other keys keep their names.

    Args:
        rules: pattern, its replacement (None if the key is dropped), reason.
    """

    def name(key: str) -> tuple[str | None, str]:
        for pattern, replacement, reason in rules:
            if match := re.match(pattern, key):
                kept = None if replacement is None else replacement + key[match.end() :]
                return kept, reason
        return key, ""

    return name


@dataclass(frozen=True)
class Format:
    """One project's checkpoints.

    Attributes:
        name: the project's name.
        sign: pattern at the start of one of the keys, by which the format is recognised.
        naming: from a key, without the prefix ``module.``, to the backbone's name.
        beside: a top-level key that the file must have as well.
        bgr: whether the input channels are in BGR order.
        lightness: whether a network of one input channel reads the lightness of Lab images.
    """

    name: str
    sign: str
    naming: Naming
    beside: str | None = None
    bgr: bool = False
    lightness: bool = False


# Blocks of a VISSL AlexNet -> index of the convolution in DeepCluster's; the normalisation has the
# next index.
_VISSL_ALEXNET = {0: 0, 2: 4, 4: 8, 5: 11, 6: 14}
_UNDER_BACKBONE = by_rules(
    (r"backbone\.", "", ""),
    (r"neck\.", None, "neck"),
    (r"head\.", None, "head"),
    (r"", None, "not of the backbone"),
)
# The first format that matches is used, so more specific formats come first.
FORMATS = (
    Format(
        "VISSL",
        r"_feature_blocks\.",
        by_rules(
            *(
                (rf"_feature_blocks\.{block}\.{part}\.", f"features.{place + part}.", "")
                for block, place in _VISSL_ALEXNET.items()
                for part in (0, 1)
            ),
            (r"_feature_blocks\.", "", ""),
        ),
        lightness=True,
    ),
    Format("odc_lightning", r"backbone\.", _UNDER_BACKBONE, beside="pytorch-lightning_version"),
    Format(
        "DINO",
        r"backbone\.",
        by_rules((r"backbone\.", "", ""), (r"", None, "projection head")),
        beside="teacher",
    ),
    Format("OpenSelfSup or mmselfsup", r"backbone\.", _UNDER_BACKBONE, beside="meta"),
    Format("names under backbone", r"backbone\.", _UNDER_BACKBONE),
    Format(
        "MoCo",
        r"encoder_q\.",
        by_rules(
            (r"encoder_q\.(fc|head)\.", None, "projection head"),
            (r"encoder_q\.", "", ""),
            (r"encoder_k\.", None, "momentum encoder"),
            (r"queue", None, "queue of keys"),
        ),
    ),
    Format(
        "MoCo v3",
        r"base_encoder\.",
        by_rules(
            (r"base_encoder\.(fc|head)\.", None, "projection head"),
            (r"base_encoder\.", "", ""),
            (r"momentum_encoder\.", None, "momentum encoder"),
            (r"predictor\.", None, "prediction head"),
        ),
    ),
    Format(
        "SwAV or DeepCluster-v2",
        r"projection_head\.|prototypes\.",
        by_rules(
            (r"projection_head\.", None, "projection head"),
            (r"prototypes\.", None, "prototypes"),
        ),
    ),
    Format(
        "DeepCluster",
        r"features\.module\.|top_layer\.|sobel\.",
        by_rules(
            (r"features\.module\.", "features.", ""),
            (r"top_layer\.", None, "classifier of the clusters"),
        ),
    ),
    Format(
        "torchvision's names",
        r"layer1\.0\.conv1\.weight",
        by_rules((r"fc\.", None, "classifier")),
    ),
    Format(
        "torchvision's names",
        r"classifier\.6\.weight",
        by_rules((r"classifier\.6\.", None, "classifier")),
    ),
    Format("Caffe2", r"res2_0_branch2a(_s0)?_w$", caffe2.resnet_name, bgr=True, lightness=True),
    Format("Caffe2", r"conv5(_s0)?_w$", caffe2.alexnet_name, bgr=True, lightness=True),
    Format("plain names", r"", by_rules()),
)


def convert(content: Mapping[str, Any]) -> Conversion:
    """Find the weights of a backbone in a checkpoint, and rename them to the backbone's names.

    Args:
        content: the checkpoint's content, in any of the `FORMATS`.

    Raises:
        ValueError: if it has no weights by name, or two networks.
    """
    place, values = _weights_by_name(content)
    named = _unwrapped(values)
    form = next(
        form
        for form in FORMATS
        if (form.beside is None or form.beside in content)
        and any(re.match(form.sign, name) for name in named)
    )
    weights: dict[str, Tensor] = {}
    rows: list[Row] = []
    for name, key in named.items():
        value = _tensor(values[key])
        target, note = form.naming(name)
        if value is None:
            rows.append(Row(key, None, None, "not a tensor"))
            continue
        if target is not None:
            if form.bgr and target in STEMS and value.shape[1] == 3:
                value, note = value.flip(1), "turned from BGR to RGB"
            weights[target] = value
        rows.append(Row(key, target, tuple(value.shape), note))
    rows += [Row(key, None, None, "not in the chosen network") for key in _beside(content, place)]
    return Conversion(form.name, weights, rows, form.lightness)


def _weights_by_name(content: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The path of the weights in a checkpoint, and the values there; some may not be tensors.

    Raises:
        ValueError: if none is a tensor.
    """
    place: tuple[str, ...] = next((place for place in _PLACES if place[0] in content), ())
    inner: Any = content
    for key in place:
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    named = {k: v for k, v in inner.items() if isinstance(k, str)} if _is_dict(inner) else {}
    if not any(_tensor(value) is not None for value in named.values()):
        raise ValueError(
            f"the checkpoint holds {sorted(map(str, content))[:8]} and no weights by "
            f"name{f' under {chr(46).join(place)}' if place else ''}; expected weights under one "
            f"of {', '.join('.'.join(place) for place in _PLACES)}, or at the top level"
        )
    return place, named


def _unwrapped(keys: Iterable[str]) -> dict[str, str]:
    """Each key without DataParallel's prefix -> the key as it is in the file.

    Raises:
        ValueError: if two keys are the same without the prefix.
    """
    named: dict[str, str] = {}
    for key in keys:
        name = _WRAPPED.sub("", key, count=1) if _WRAPPED.match(key) else key
        if name in named:
            raise ValueError(
                f"the checkpoint holds two networks, {named[name]!r} and {key!r}; save one of them"
            )
        named[name] = key
    return named


def _beside(content: Any, place: Sequence[str]) -> Iterator[str]:
    """Dotted paths of all entries beside the network, at every level of its path."""
    for depth, key in enumerate(place):
        for other in content:
            if other != key:
                yield ".".join([*place[:depth], str(other)])
        content = content[key]


def _is_dict(value: Any) -> bool:
    return isinstance(value, Mapping)


def _tensor(value: Any) -> Tensor | None:
    """A tensor, or an array of numbers as one; None for anything else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return torch.from_numpy(np.array(value))
    return value.detach() if isinstance(value, Tensor) else None
