"""Check of a run's config before anything is built: its ``_target_`` values name code to call."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

# Packages of networks, data and views. An object must also be defined in one of them, because
# "odc_lightning.data.os.system" can be imported, too.
KNOWN = ("odc_lightning.data", "odc_lightning.models", "torchvision.transforms")
# With these arguments a timm network would read a file of the config's choice.
_UNSAFE_ARGUMENTS = {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}
_DTYPE = re.compile(r"torch\.[a-z]+\d+")  # allowed as a path for `hydra.utils.get_object`


def refuse_unknown_targets(
    config: DictConfig,
    where: str,
    option: str = "checkpoint_trusted",
    known: Sequence[str] = KNOWN,
) -> None:
    """Check every ``_target_`` of a config before anything is built.

    Args:
        config: a part of a config, resolved.
        where: the file of the config, for the message.
        option: the option by which the user can trust the config anyway.
        known: packages, or single objects, that may be built.

    Raises:
        ValueError: if a target is not a network, data set or view of this package or of
            torchvision, or if a value refers to another part of the config, which is not checked.
    """
    for reason in _reasons_against(OmegaConf.to_container(config), known):
        raise ValueError(
            f"the config of {where} would {reason}. If you know where this run comes from and "
            f"trust its source, add {option}=true"
        )


def _reasons_against(value: Any, known: Sequence[str]) -> Iterator[str]:
    if isinstance(value, str) and "${" in value:
        yield f"look up {value}; expected a config with all references resolved"
    if isinstance(value, Mapping):
        target = value.get("_target_")
        if target is not None and not _is_known(str(target), value, known):
            yield (
                f"run {target}, which is not a network, data set or view of odc_lightning or "
                "torchvision"
            )
        for argument in _UNSAFE_ARGUMENTS & set(value):
            yield f"give {target} its {argument}, a file or an address to load"
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _reasons_against(each, known)


def _is_known(target: str, node: Mapping[str, Any], known: Sequence[str]) -> bool:
    if target == "hydra.utils.get_object":
        return _DTYPE.fullmatch(str(node.get("path"))) is not None
    if target in known:
        return True
    if not _is_in(target, known):
        return False
    try:
        target_object = get_object(target)
    except Exception:  # a failed import can raise anything
        return False
    return _is_in(str(getattr(target_object, "__module__", None)), known)


def _is_in(name: str, packages: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)
