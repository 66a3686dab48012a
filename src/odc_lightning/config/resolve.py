"""Resolving the references in a config."""

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import (
    InterpolationResolutionError,
    InterpolationToMissingValueError,
    MissingMandatoryValue,
)

from odc_lightning.utils.text import first_line


def resolve(config: DictConfig) -> DictConfig:
    """The config with all references resolved.

    Raises:
        ValueError: a required setting has no value, or a reference cannot be resolved.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except (MissingMandatoryValue, InterpolationToMissingValueError) as error:
        key = next(missing_keys(OmegaConf.to_container(config)), error.full_key)
        raise ValueError(f"no value for {key}; add {key}=... to the command") from error
    except InterpolationResolutionError as error:
        raise ValueError(
            f"{error.full_key} cannot be resolved: {first_line(error)}; expected ${{key}} of a "
            "setting that exists"
        ) from error
    return OmegaConf.create(_as_text(plain))  # type: ignore[no-any-return]


def missing_keys(value: Any, key: str = "") -> Iterator[str]:
    """The keys below ``key`` that must be given and have no value."""
    if value == "???":
        yield key
    if isinstance(value, dict):
        for name, each in value.items():
            yield from missing_keys(each, f"{key}.{name}" if key else str(name))


def _as_text(value: Any) -> Any:
    """A resolved value, in which ``${`` is text, such as in the name of a folder."""
    if isinstance(value, dict):
        return {key: _as_text(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_text(each) for each in value]
    return literal(value) if isinstance(value, str) else value


def literal(text: str) -> str:
    """Text that OmegaConf reads back as it is: ``${`` would refer to another value."""
    return re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
