"""Resolving the references in a config."""

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue


def resolve(config: DictConfig) -> DictConfig:
    """The config with all references resolved.

    Raises:
        ValueError: a required setting has no value.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ValueError(f"no value for {key}; add {key}=... to the command") from error
    return OmegaConf.create(plain)  # type: ignore[return-value]
