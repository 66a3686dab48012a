"""Allowed values of settings: one table, checked before anything is built."""

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from odc_lightning.config.types import accepts, described, hints_of

# In place of a null that is chosen automatically, which suits every type.
CHOSEN_LATER = "(chosen automatically)"


class IntegerRule(NamedTuple):
    """An integer, ``least`` or more."""

    least: int

    def accepts(self, value: Any) -> bool:
        """Whether the value is allowed; a bool is not."""
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.least

    def __str__(self) -> str:
        return f"an integer, {self.least} or more"


class NumberRule(NamedTuple):
    """A finite number from ``least`` to less than ``below``."""

    least: float = 0.0
    below: float = math.inf

    def accepts(self, value: Any) -> bool:
        """Whether the value is allowed; a bool is not."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.least <= value < self.below

    def __str__(self) -> str:
        limit = f" and below {self.below:g}" if self.below < math.inf else ""
        return f"a number, {self.least:g} or more{limit}"


# Settings that a part of the program checks itself, with a more specific message, are not listed.
RULES: Mapping[str, IntegerRule | NumberRule] = {
    "seed": IntegerRule(0),
    "data.batch_size": IntegerRule(1),
    "data.image_size": IntegerRule(1),
    "data.view_size": IntegerRule(1),
    "data.num_workers": IntegerRule(0),
    "algorithm.num_clusters": IntegerRule(1),
    "algorithm.kmeans_bootstrap.iterations": IntegerRule(1),
    "algorithm.samples_memory.momentum": NumberRule(),
    "model.backbone.width": IntegerRule(1),
    "model.neck.hidden_features": IntegerRule(1),
    "model.neck.out_features": IntegerRule(1),
    "model.neck.dropout": NumberRule(below=1.0),
    "optimizer.lr": NumberRule(),
    "optimizer.momentum": NumberRule(below=1.0),
    "optimizer.weight_decay": NumberRule(),
    "trainer.max_epochs": IntegerRule(1),
    "trainer.accumulate_grad_batches": IntegerRule(1),
    "trainer.log_every_n_steps": IntegerRule(1),
}


def check_groups(config: DictConfig) -> None:
    """Refuse a single value in place of a group of settings, such as ``trainer=null``.

    Raises:
        ValueError: for the first such group.
    """
    for key in ("train", "trainer", "data", "model", "algorithm", "optimizer"):
        if key in config and not isinstance(config[key], DictConfig):
            raise ValueError(f"{key}={config[key]}; expected settings, such as {key}.NAME=VALUE")


def check_arguments(config: DictConfig) -> None:
    """Refuse settings that the object of their ``_target_`` does not have, or of another type.

    Settings without an object appear if another option of a group is chosen than the one that an
    experiment sets.

    Args:
        config: the user's own, resolved; the modules of its targets are imported.

    Raises:
        ValueError: for the first such setting.
    """
    for key, node in _targets(OmegaConf.to_container(config), ""):
        try:
            target = get_object(node["_target_"])
            parameters = inspect.signature(target).parameters
        except Exception:  # reported when the object is built
            continue
        hints = hints_of(target)
        for name, value in node.items():
            wrong = name in parameters and name in hints and value != parameters[name].default
            if wrong and value != CHOSEN_LATER and not accepts(hints[name], value):
                found = "null" if value is None else value
                raise ValueError(f"{key}.{name}={found}; expected {described(hints[name])}")
        if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values()):
            continue
        unknown = [name for name in node if name not in parameters and not name.startswith("_")]
        if unknown:
            raise ValueError(
                f"{key} is a {str(node['_target_']).rpartition('.')[2]}, which has no setting "
                f"{' and no '.join(unknown)}; remove what belongs to another option of {key}: "
                f"{' '.join(f'~{key}.{name}' for name in unknown)}"
            )


def _targets(value: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict) and isinstance(value.get("_target_"), str):
        yield key, value
    if isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _targets(each, f"{key}.{name}" if key else str(name))


def check_settings(config: DictConfig) -> None:
    """Refuse settings with values that are not allowed.

    Null is accepted: the value is chosen automatically, or the part that needs it reports it.

    Raises:
        ValueError: for the first wrong value among the settings of `RULES`, or for images that
            are held back from an algorithm without a samples memory, or labels for it.
    """
    for key, rule in RULES.items():
        value = OmegaConf.select(config, key)
        if value is not None and not rule.accepts(value):
            raise ValueError(f"{key}={value}; expected {rule}")
    has_memory = OmegaConf.select(config, "algorithm.samples_memory") is not None
    labels = OmegaConf.select(config, "labels")
    if labels is not None and not has_memory:
        raise ValueError(
            f"labels={labels} and the algorithm has no samples memory, whose clusters the names "
            "guide; leave labels out, or use an algorithm of ODC, such as algorithm=odc_small"
        )
    held_back = OmegaConf.select(config, "data.held_back")
    if held_back and not has_memory:
        raise ValueError(
            f"data.held_back={held_back} and the algorithm has no samples memory, which has the "
            "clusters of these images; set data.held_back=0, or use algorithm=odc_small"
        )
