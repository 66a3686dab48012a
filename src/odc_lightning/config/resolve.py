"""References in a config, resolved."""

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue


def resolve(config: DictConfig) -> DictConfig:
    """The config with every reference resolved.

    Raises:
        ValueError: a setting has no value yet.
    """
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise ValueError(f"no value yet for {key}: add {key}=... to the command") from error
    return OmegaConf.create(plain)  # type: ignore[return-value]
