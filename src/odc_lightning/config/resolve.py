"""Resolving the references in a config."""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
)

from odc_lightning.utils.text import first_line


def resolve(config: DictConfig, key: str = "") -> DictConfig:
    """The config with all references resolved.

    Args:
        config: the whole, or a part of it.
        key: the part's key in the whole config; empty for the whole.

    Raises:
        ValueError: a required setting has no value, or a reference cannot be resolved.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (MissingMandatoryValue, InterpolationToMissingValueError) as error:
        missing = next(missing_keys(OmegaConf.to_container(config), key), error.full_key)
        raise ValueError(f"no value for {missing}; add {missing}=... to the command") from error
    except InterpolationResolutionError as error:
        raise ValueError(
            f"{error.full_key} cannot be resolved: {first_line(error)}; expected ${{key}} of a "
            "setting that exists"
        ) from error
    return OmegaConf.create(plain)  # type: ignore[return-value]


def missing_keys(value: Any, key: str = "") -> Iterator[str]:
    """The keys below ``key`` that must be given and have no value."""
    if value == "???":
        yield key
    if isinstance(value, dict):
        for name, each in value.items():
            yield from missing_keys(each, f"{key}.{name}" if key else str(name))
