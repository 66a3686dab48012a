"""Load the weights of a checkpoint into a backbone, all of them or none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.checkpoints.formats import convert
from odc_lightning.checkpoints.mismatch import what_to_do
from odc_lightning.checkpoints.read import read_checkpoint
from odc_lightning.checkpoints.sobel import SOBEL, check_filter
from odc_lightning.checkpoints.timm_weights import load_timm, timm_name
from odc_lightning.models import Backbone, TimmBackbone
from odc_lightning.models.timm_backbone import PREFIX

# Names beyond these are counted, not listed.
MAX_LISTED = 8
# Weights of red, green and blue in a grey image.
LUMA = (0.299, 0.587, 0.114)


def load_pretrained(
    backbone: Backbone,
    path: Path | str,
    *,
    allow: Sequence[str] = (),
    trusted: bool = False,
    option: str = "model.pretrained",
) -> Conversion:
    """Give the backbone the weights of a checkpoint of any known format.

    Args:
        backbone: to change.
        path: of the file; or ``timm:NAME``, timm's own weights of its network NAME.
        allow: names of weights that may differ, or patterns such as ``classifier.*``. A weight that
            is missing in the file, or has another shape there, keeps its initial value; one that
            the backbone does not have is dropped.
        trusted: unpickle any object in the file, which can run any code.
        option: config key of the file, for messages.

    Returns:
        The weights that were loaded, and how each key was mapped.

    Raises:
        ValueError: if the file cannot be read or does not fit; nothing is loaded then.
        WeightsUnavailable: timm's weights cannot be had.
    """
    if (name := timm_name(path)) is not None:
        return _load_timm(backbone, name, allow, option)
    content = read_checkpoint(path, trusted=trusted, option=option)
    names = backbone.state_dict()
    expected = {*names, *(name.removeprefix(PREFIX) for name in names)}
    try:
        converted = convert(content, expected)
        conversion = match_weights(converted, backbone, allow=allow, option=option)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # Not strict: `match_weights` has checked what is missing.
    backbone.load_state_dict(conversion.weights, strict=False)
    return conversion


def _load_timm(backbone: Backbone, name: str, allow: Sequence[str], option: str) -> Conversion:
    """Give the backbone timm's own weights of its network; see `load_pretrained`."""
    if not isinstance(backbone, TimmBackbone):
        raise ValueError(
            f"{option}=timm:{name} has weights of that network, but the network is "
            f"{backbone.name}; add model=timm model.backbone.name={name}"
        )
    conversion = match_weights(load_timm(backbone, name), backbone, allow=allow, option=option)
    backbone.load_state_dict(conversion.weights, strict=False)
    return conversion


def match_weights(
    conversion: Conversion, backbone: Backbone, *, allow: Sequence[str], option: str
) -> Conversion:
    """Select the weights of a checkpoint that the backbone takes.

    Args:
        conversion: of the checkpoint.
        backbone: is not changed.
        allow, option: see `load_pretrained`.

    Returns:
        The weights by the backbone's names, and a row for each name of either side.

    Raises:
        ValueError: if something does not match and is not allowed by name. The message names the
            likely cause.
    """
    if isinstance(backbone, TimmBackbone):
        conversion = _for_timm(conversion, backbone)
    patterns = [allow] if isinstance(allow, str) else allow
    expected = backbone.state_dict()
    weights: dict[str, Tensor] = {}
    rows: list[Row] = []
    refused = _Refused([], [], [])
    for row in conversion.rows:
        if row.target is None:
            rows.append(row)
            continue
        row, weight = _match(row, conversion, backbone, expected, refused, patterns)
        rows.append(row)
        if weight is not None and row.target is not None:
            weights[row.target] = weight
    for name in expected:
        if name not in conversion.weights:
            if not (_is_unused_counter(name, conversion.weights) or _matches(patterns, name)):
                refused.missing.append(name)
            note = "not in the file: left as initialised"
            rows.append(Row("", name, tuple(expected[name].shape), note))
    if any(refused):
        raise ValueError(_mismatch(conversion, backbone, refused, option))
    if not weights:
        raise ValueError(
            f"no weight of the checkpoint ({conversion.format}) fits the backbone "
            f"{backbone.name!r}, though every difference is allowed; choose the model of the "
            "checkpoint (model=...)"
        )
    return replace(conversion, weights=weights, rows=rows)


class _Refused(NamedTuple):
    """What does not match and is not allowed."""

    missing: list[str]
    unknown: list[str]
    other_shape: list[str]  # names, each with both shapes


def _match(
    row: Row,
    conversion: Conversion,
    backbone: Backbone,
    expected: Mapping[str, Tensor],
    refused: _Refused,
    patterns: Sequence[str],
) -> tuple[Row, Tensor | None]:
    """Classify one weight of the file.

    Args:
        row: of the weight; it has a target.
        conversion: of the checkpoint.
        backbone: for the check of a Sobel filter.
        expected: the backbone's weights.
        refused: is added to.
        patterns: names that may differ.

    Returns:
        The row with a note on what happens to the weight, and the weight if it is loaded.
    """
    name = str(row.target)
    weight = conversion.weights[name]
    check_values(row.source, weight, expected.get(name))
    allowed = _matches(patterns, name, row.source)
    if name.startswith(SOBEL):
        check_filter(name, weight, backbone)
        return row._replace(target=None, note="fixed filter, the same as here"), None
    if name not in expected:
        if not allowed:
            refused.unknown.append(name)
        return row._replace(target=None, note="unknown to the backbone, allowed"), None
    if weight.shape == expected[name].shape:
        return row, weight
    if _is_grey(weight, expected[name]) and not conversion.lightness:
        weight = weight * torch.tensor(LUMA, dtype=weight.dtype).view(1, 3, 1, 1)
        return row._replace(note="spread from grey over red, green and blue"), weight
    shapes = f"{tuple(weight.shape)} instead of {tuple(expected[name].shape)}"
    if not allowed:
        refused.other_shape.append(f"{name} {shapes}")
    return row._replace(note=f"{shapes}, allowed: left as initialised"), None


def _mismatch(conversion: Conversion, backbone: Backbone, refused: _Refused, option: str) -> str:
    """The message for a checkpoint that does not fit: the names, and what to do."""
    lists = {
        "Missing in the file": refused.missing,
        "Unknown to the backbone": refused.unknown,
        "Of another shape": refused.other_shape,
    }
    differing = [text.partition(" ")[0] for names in refused for text in names]
    sentences = [
        f"the checkpoint ({conversion.format}) does not fit the backbone {backbone.name!r}, and "
        "nothing was loaded.",
        *(f"{what}: {_listed(names)}." for what, names in lists.items() if names),
        *what_to_do(conversion.weights, backbone, differing, conversion.lightness, option),
    ]
    return " ".join(sentences)


def check_values(name: str, weight: Tensor, ours: Tensor | None) -> None:
    """Refuse a weight whose values cannot be loaded.

    Args:
        name: in the file.
        weight: of the file.
        ours: the backbone's weight of that name, if it has one.

    Raises:
        ValueError: if the weight has NaN or infinite values, or integers where the backbone has
            floating-point numbers.
    """
    if ours is not None and ours.is_floating_point() and not weight.is_floating_point():
        raise ValueError(
            f"{name} is of {weight.dtype}, expected floating-point numbers. The network may be "
            "quantised; take the one that it was made from"
        )
    if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
        raise ValueError(
            f"{name} has NaN or infinite values: the training had diverged when it was saved; "
            "take an earlier checkpoint"
        )


def _for_timm(conversion: Conversion, backbone: TimmBackbone) -> Conversion:
    """The conversion with the names of a `TimmBackbone`, without the classifier."""
    expected = backbone.state_dict()
    weights: dict[str, Tensor] = {}
    rows: list[Row] = []
    for row in conversion.rows:
        if row.target is None:
            rows.append(row)
        elif row.target not in expected and row.target.startswith(backbone.classifiers):
            rows.append(row._replace(target=None, note="classifier"))
        else:
            name = row.target if row.target in expected else PREFIX + row.target
            weights[name] = backbone.fitted(name, conversion.weights[row.target])
            note = row.note
            if weights[name].shape != row.shape:
                note = f"positions resampled to {tuple(weights[name].shape)}"
            rows.append(row._replace(target=name, note=note))
    return replace(conversion, weights=weights, rows=rows)


def _is_grey(file: Tensor, ours: Tensor) -> bool:
    """Whether a first convolution differs only in that it reads one channel instead of three."""
    return (
        file.ndim == ours.ndim == 4
        and (file.shape[1], ours.shape[1]) == (1, 3)
        and (file.shape[0], file.shape[2:]) == (ours.shape[0], ours.shape[2:])
    )


def _is_unused_counter(name: str, weights: Mapping[str, Tensor]) -> bool:
    """Whether this is the batch counter of a normalisation layer that the file has otherwise.

    Caffe2 and torch before 0.4.1 have no counter. With a fixed momentum nothing depends on it.
    """
    layer, _, part = name.rpartition(".")
    return part == "num_batches_tracked" and f"{layer}.running_mean" in weights


def _matches(patterns: Sequence[str], *names: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
