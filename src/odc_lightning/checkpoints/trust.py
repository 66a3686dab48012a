"""What the config of somebody's run may build: a config names Python objects, which are called."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

# Where networks, data and views come from. What is found there must be defined there as well:
# "odc_lightning.data.os.system" is found, too.
KNOWN = ("odc_lightning.data", "odc_lightning.models", "torchvision.transforms")
# By these a network of timm would read a file of somebody's choice.
_UNSAFE_ARGUMENTS = {"checkpoint_path", "pretrained_cfg", "pretrained_cfg_overlay"}
_DTYPE = re.compile(r"torch\.[a-z]+\d+")  # `hydra.utils.get_object` gives its name a meaning


def refuse_unknown_targets(
    config: DictConfig, where: str, option: str = "checkpoint_trusted"
) -> None:
    """Look at every ``_target_`` before anything is built.

    Args:
        config: a part of a config, resolved.
        where: the file that it is from, for the message.
        option: the key by which the user can trust it all the same.

    Raises:
        ValueError: one is no network, data set or view of this package or of torchvision, or
            something refers to another part of the config, which is not looked at.
    """
    for reason in _reasons_against(OmegaConf.to_container(config)):
        raise ValueError(
            f"the config of {where} would {reason}. If you know where this run comes from and "
            f"trust it, add {option}=true"
        )


def _reasons_against(value: Any) -> Iterator[str]:
    if isinstance(value, str) and "${" in value:
        yield f"look up {value}, and nothing in it should be left to look up"
    if isinstance(value, Mapping):
        target = value.get("_target_")
        if target is not None and not _is_known(str(target), value):
            yield (
                f"run {target}, which is no network, data set or view of odc_lightning or "
                "torchvision"
            )
        for argument in _UNSAFE_ARGUMENTS & set(value):
            yield f"give {target} its {argument}, a file or an address to load"
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _reasons_against(each)


def _is_known(target: str, node: Mapping[str, Any]) -> bool:
    if target == "hydra.utils.get_object":
        return _DTYPE.fullmatch(str(node.get("path"))) is not None
    if not _is_in_known(target):
        return False
    try:
        found = get_object(target)
    except Exception:  # whatever an import of nothing raises; it will be told of when it is built
        return False
    return _is_in_known(str(getattr(found, "__module__", None)))


def _is_in_known(name: str) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in KNOWN)
