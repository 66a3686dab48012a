"""References between the keys of a run's config, found again in Hydra's record of it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_OWN = re.compile(r"\$\{(?:model|data|seed)\b[\w.]*\}")


def add_references(config: DictConfig, source: Any, own_only: bool = False) -> None:
    """Replace values of a config, in place, by references to the same values.

    A reference then follows the key that it names, for example ``scheduler.T_max`` follows
    ``trainer.max_epochs``. References that call a resolver (``${oc.env:NAME}``) are not used.

    Args:
        config: resolved.
        source: a config, some of whose values are references.
        own_only: use only references to model, data and seed, because the config becomes a part of
            another one, with values that are not the run's.
    """
    plain = OmegaConf.to_container(source, resolve=False)
    for key, reference in scalars(plain):
        if not isinstance(reference, str) or "${" not in reference or ":" in reference:
            continue
        if own_only and "${" in _OWN.sub("", reference):
            continue
        value = OmegaConf.select(config, key)
        if value is None:
            continue
        OmegaConf.update(config, key, reference, merge=False)
        try:
            same = OmegaConf.select(config, key) == value
        except (OmegaConfBaseException, RecursionError):  # it leads nowhere, or to itself
            same = False
        if not same:
            OmegaConf.update(config, key, value, merge=False)


def leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of nested dicts, ``a.b.c``, and their values; an empty dict is a value."""
    if isinstance(value, Mapping) and (value or not key):
        for name, child in value.items():
            yield from leaves(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def scalars(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of nested dicts and lists, such as ``steps.0.size``, and their values.

    An empty dict or list is a value.
    """
    if isinstance(value, Mapping | list) and value:
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, child in items:
            yield from scalars(child, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
