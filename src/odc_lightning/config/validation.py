"""What settings may be: one table, asked before anything is built."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf


class IntegerRule(NamedTuple):
    """A whole number, ``least`` or more; null where the config has it by default."""

    least: int

    def accepts(self, value: Any) -> bool:
        """Whether it is one; a bool is none."""
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.least

    def __str__(self) -> str:
        return f"a whole number, {self.least} or more"


class NumberRule(NamedTuple):
    """A finite number from ``least`` to less than ``below``."""

    least: float = 0.0
    below: float = math.inf

    def accepts(self, value: Any) -> bool:
        """Whether it is one; a bool is none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.least <= value < self.below

    def __str__(self) -> str:
        limit = f" and below {self.below:g}" if self.below < math.inf else ""
        return f"a number, {self.least:g} or more{limit}"


# What a part checks itself, with more to say, is not here.
RULES: Mapping[str, IntegerRule | NumberRule] = {
    "seed": IntegerRule(0),
    "data.batch_size": IntegerRule(1),
    "data.image_size": IntegerRule(1),
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


def check_settings(config: DictConfig) -> None:
    """Refuse values that nothing can be made of.

    Null stands for "choose for me", and whoever cannot says so.

    Raises:
        ValueError: for the first setting of `RULES` that is there and wrong.
    """
    for key, rule in RULES.items():
        value = OmegaConf.select(config, key)
        if value is not None and not rule.accepts(value):
            raise ValueError(f"{key}={value}; expected {rule}")
