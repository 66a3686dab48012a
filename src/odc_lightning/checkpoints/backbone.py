"""The backbone in a checkpoint, loaded whole or not at all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from odc_lightning.checkpoints.read import read_checkpoint
from odc_lightning.models import Backbone

PREFIX = "backbone."
# Names beyond these are counted, not listed.
MOST_LISTED = 8


def backbone_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of the backbone in a checkpoint of ours, or in a plain state dict.

    Args:
        content: with ``state_dict``, whose names begin with ``backbone.``, as a run saves it; or
            names and tensors of the backbone itself, with or without that prefix.

    Raises:
        ValueError: if there are no tensors by name.
    """
    state = content.get("state_dict", content)
    named = state.items() if isinstance(state, Mapping) else ()
    tensors = {
        name: value for name, value in named if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        raise ValueError(
            f"the checkpoint holds {sorted(map(str, content))[:MOST_LISTED]} and no weights by "
            "name; expected state_dict, or the weights themselves"
        )
    prefixed = {
        name.removeprefix(PREFIX): value
        for name, value in tensors.items()
        if name.startswith(PREFIX)
    }
    return prefixed or tensors


def load_backbone(backbone: Backbone, path: Path | str) -> None:
    """Give the backbone the weights of a checkpoint.

    Raises:
        ValueError: if a weight is missing, unknown or of another shape; it lists them, and nothing
            has been loaded then.
    """
    weights = backbone_weights(read_checkpoint(path))
    expected = backbone.state_dict()
    missing = [name for name in expected if name not in weights]
    unknown = [name for name in weights if name not in expected]
    other_shape = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if missing or unknown or other_shape:
        raise ValueError(
            f"{path} does not fit the backbone {backbone.name!r}, and nothing was loaded. "
            + " ".join(
                f"{what}: {_listed(names)}."
                for what, names in (
                    ("Missing in the file", missing),
                    ("Unknown to the backbone", unknown),
                    ("Of another shape", other_shape),
                )
                if names
            )
            + " Choose the model that the checkpoint is of (model=...)."
        )
    backbone.load_state_dict(weights)


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {rest} more" if rest > 0 else "")
