"""A backbone gets the weights of a checkpoint, whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor

from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.checkpoints.formats import convert
from odc_lightning.checkpoints.mismatch import what_to_do
from odc_lightning.checkpoints.read import read_checkpoint
from odc_lightning.checkpoints.sobel import SOBEL, check_filter
from odc_lightning.models import Backbone, TimmBackbone
from odc_lightning.models.timm_backbone import PREFIX

# Names beyond these are counted, not listed.
MAX_LISTED = 8
# How much red, green and blue count in a grey image.
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
        path: of the file.
        allow: names, or patterns as ``classifier.*``, of what may differ. A weight that the file
            has not, or in another shape, keeps its initial value then; one that the backbone has
            not is dropped.
        trusted: unpickle whatever the file holds, which can run any code.
        option: what the user calls the file, for messages.

    Returns:
        The weights taken, and what became of every key.

    Raises:
        ValueError: if the file cannot be read or does not fit; nothing has been loaded then.
    """
    content = read_checkpoint(path, trusted=trusted, option=option)
    try:
        conversion = fit(convert(content), backbone, allow=allow, option=option)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    # Not strict: what may be missing was said above.
    backbone.load_state_dict(conversion.weights, strict=False)
    return conversion


def fit(
    conversion: Conversion, backbone: Backbone, *, allow: Sequence[str], option: str
) -> Conversion:
    """Keep what fits the backbone.

    Args:
        conversion: of a checkpoint.
        backbone: is asked, not changed.
        allow: see `load_pretrained`.
        option: see `load_pretrained`.

    Raises:
        ValueError: if something does not fit and is not allowed by name, with the likely cause.
    """
    if isinstance(backbone, TimmBackbone):
        conversion = _for_timm(conversion, backbone)
    patterns = [allow] if isinstance(allow, str) else allow
    expected = backbone.state_dict()
    weights: dict[str, Tensor] = {}
    rows: list[Row] = []
    unknown: list[str] = []
    other_shape: list[str] = []
    for row in conversion.rows:
        name = row.target
        if name is None:
            rows.append(row)
            continue
        weight = conversion.weights[name]
        check_values(row.source, weight, expected.get(name))
        allowed = _matches(patterns, name, row.source)
        if name.startswith(SOBEL):
            check_filter(name, weight, backbone)
            rows.append(row._replace(target=None, note="fixed filter, the same as here"))
        elif name not in expected:
            if not allowed:
                unknown.append(name)
            rows.append(row._replace(target=None, note="unknown to the backbone, allowed"))
        elif weight.shape == expected[name].shape:
            weights[name] = weight
            rows.append(row)
        elif _is_grey(weight, expected[name]) and not conversion.lightness:
            weights[name] = weight * torch.tensor(LUMA, dtype=weight.dtype).view(1, 3, 1, 1)
            rows.append(row._replace(note="spread from grey over red, green and blue"))
        else:
            shapes = f"{tuple(weight.shape)} instead of {tuple(expected[name].shape)}"
            if not allowed:
                other_shape.append(f"{name} {shapes}")
            rows.append(row._replace(note=f"{shapes}, allowed: left as initialised"))
    missing: list[str] = []
    for name in expected:
        if name not in conversion.weights:
            if not (_is_unused_counter(name, conversion.weights) or _matches(patterns, name)):
                missing.append(name)
            note = "not in the file: left as initialised"
            rows.append(Row("", name, tuple(expected[name].shape), note))
    if not (missing or unknown or other_shape or weights):
        raise ValueError(
            f"no weight of the checkpoint ({conversion.format}) fits the backbone "
            f"{backbone.name!r}, though all of that is allowed; choose the model that it is of "
            "(model=...)"
        )
    if missing or unknown or other_shape:
        lists = {
            "Missing in the file": missing,
            "Unknown to the backbone": unknown,
            "Of another shape": other_shape,
        }
        differing = [text.partition(" ")[0] for names in lists.values() for text in names]
        raise ValueError(
            f"the checkpoint ({conversion.format}) does not fit the backbone {backbone.name!r}, "
            "and nothing was loaded. "
            + " ".join(f"{what}: {_listed(names)}." for what, names in lists.items() if names)
            + " "
            + " ".join(
                what_to_do(conversion.weights, backbone, differing, conversion.lightness, option)
            )
        )
    return replace(conversion, weights=weights, rows=rows)


def check_values(name: str, weight: Tensor, ours: Tensor | None) -> None:
    """Refuse what has the right shape and is no weight.

    Args:
        name: in the file.
        weight: of the file.
        ours: the backbone's of that name, if it has one.

    Raises:
        ValueError: if it is NaN or infinite, or whole numbers where the backbone has fractions.
    """
    if ours is not None and ours.is_floating_point() and not weight.is_floating_point():
        raise ValueError(
            f"{name} is of {weight.dtype}, expected floating-point numbers: it may be a quantised "
            "network; take the one that it was made from"
        )
    if weight.is_floating_point() and not bool(torch.isfinite(weight).all()):
        raise ValueError(
            f"{name} has values that are NaN or infinite: the training that saved it had diverged; "
            "take an earlier checkpoint of it"
        )


def _for_timm(conversion: Conversion, backbone: TimmBackbone) -> Conversion:
    """The names of a `TimmBackbone`, and no classifier, which it does not have."""
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
            weights[name] = conversion.weights[row.target]
            rows.append(row._replace(target=name))
    return replace(conversion, weights=weights, rows=rows)


def _is_grey(file: Tensor, ours: Tensor) -> bool:
    """Whether a first convolution differs only in that it sees one channel instead of three."""
    return (
        file.ndim == ours.ndim == 4
        and (file.shape[1], ours.shape[1]) == (1, 3)
        and (file.shape[0], file.shape[2:]) == (ours.shape[0], ours.shape[2:])
    )


def _is_unused_counter(name: str, weights: Mapping[str, Tensor]) -> bool:
    """Whether it is the count of batches of a normalisation that is in the file otherwise.

    Caffe2 and torch before 0.4.1 have none, and with a fixed momentum nothing depends on it.
    """
    layer, _, part = name.rpartition(".")
    return part == "num_batches_tracked" and f"{layer}.running_mean" in weights


def _matches(patterns: Sequence[str], *names: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
