"""Check of a run's config before anything is built: its ``_target_`` values name code to call."""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

# Modules whose public objects may be built: networks, data sets and views. Of torchvision only
# classes, without Lambda, which calls any function.
_OURS = ("odc_lightning.data", "odc_lightning.models")
_VIEWS = ("torchvision.transforms", "torchvision.transforms.v2")
KNOWN = (*_OURS, *_VIEWS)
MAX_SIDE = 8192  # of the images that a view makes
_DTYPE = re.compile(r"torch\.[a-z]+\d+")  # allowed as a path for `hydra.utils.get_object`
_HYDRA_KEYS = {"_target_", "_partial_", "_convert_"}
# timm passes unknown arguments to code that reads files and addresses, so only these are given.
_TIMM = "odc_lightning.models.TimmBackbone"
TIMM_ARGUMENTS = {
    *("name", "pretrained", "img_size", "patch_size", "in_chans", "global_pool", "output_stride"),
    *("drop_rate", "drop_path_rate", "attn_drop_rate", "proj_drop_rate", "drop_block_rate"),
    *("act_layer", "norm_layer", "window_size", "dynamic_img_size", "init_values", "qk_norm"),
    *("class_token", "reg_tokens", "no_embed_class", "fc_norm", "use_fc_norm"),
}
# A name of timm's registry, perhaps with the tag of its weights: no local-dir:, hf-hub: or path.
# `???` is a value that is still missing.
TIMM_NAME = re.compile(r"\w+(\.\w+)?|\?\?\?", re.ASCII)


def refuse_unknown_targets(
    config: DictConfig,
    where: str,
    option: str = "checkpoint_trusted",
    known: Sequence[str] = KNOWN,
) -> None:
    """Check every ``_target_`` of a config, and its arguments, before anything is built.

    Args:
        config: a part of a config, resolved.
        where: the file of the config, for the message.
        option: the option by which the user can trust the config anyway.
        known: packages, or single objects, that may be built.

    Raises:
        ValueError: if a target is not a network, data set or view of this package or of
            torchvision, if an argument could name a file, an address or code, or if a value refers
            to another part of the config, which is not checked.
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
        if "_target_" in value:
            yield from _reasons_against_call(str(value["_target_"]), value, known)
        elif any(str(key) in ("_args_", "_partial_", "_recursive_") for key in value):
            yield "give Hydra's own arguments to something without a _target_"
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from _reasons_against(each, known)


def _reasons_against_call(
    target: str, node: Mapping[Any, Any], known: Sequence[str]
) -> Iterator[str]:
    arguments = {str(key): value for key, value in node.items() if key not in _HYDRA_KEYS}
    if target == "hydra.utils.get_object":
        if set(arguments) != {"path"} or not _DTYPE.fullmatch(str(arguments["path"])):
            yield f"run {target} for {arguments}, which is not a type of torch's numbers"
        return
    found = known_object(target)
    if found is None:
        if target not in known and not _is_known_class(target, known):
            yield (
                f"run {target}, which is not a network, data set or view of odc_lightning or "
                "torchvision"
            )
        return
    takes_any = any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD
        for parameter in inspect.signature(found).parameters.values()
    )
    is_timm = found is known_object(_TIMM)
    largest = max(_integers(arguments), default=0) if target.startswith(_VIEWS) else 0
    if largest > MAX_SIDE:
        yield f"give {target} the number {largest}, more pixels than a side of {MAX_SIDE}"
    for key, value in arguments.items():
        if key.startswith("_") or (takes_any and not (is_timm and key in TIMM_ARGUMENTS)):
            yield f"give {target} its {key}, which could name a file, an address or code to load"
        elif is_timm and key != "name" and not _is_plain(value):
            yield f"give {target} {key}={value}, which is not a plain setting"
    name = arguments.get("name")
    if is_timm and not (isinstance(name, str) and TIMM_NAME.fullmatch(name)):
        yield f"give {target} the name {name}, which is not in timm's registry"
    if is_timm and arguments.get("pretrained", False) is not False:
        yield f"give {target} its pretrained, which downloads weights"


def _integers(value: Any) -> Iterator[int]:
    """The integers among a call's own arguments."""
    if isinstance(value, int):
        yield value
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _integers(each)


def known_object(target: str) -> Any:
    """The class or function that a config may build under this name; None for any other."""
    if not any(target.startswith(f"{module}.") for module in KNOWN):
        return None
    try:
        found = get_object(target)
    except Exception:  # a failed import can raise anything
        return None
    return found if any(found is each for each in _known_objects()) else None


def _is_known_class(target: str, known: Sequence[str]) -> bool:
    """Whether it is a class in one of the packages that are known besides `KNOWN`."""
    packages = [package for package in known if package not in KNOWN]
    if not _is_in(target, packages):
        return False
    try:
        found = get_object(target)
    except Exception:  # a failed import can raise anything
        return False
    return inspect.isclass(found) and _is_in(found.__module__, packages)


def _is_in(name: str, packages: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def _known_objects() -> Iterator[Any]:
    for name in _OURS:
        module = import_module(name)
        yield from filter(callable, (getattr(module, public) for public in module.__all__))
    for name in _VIEWS:
        for public, found in vars(import_module(name)).items():
            is_view = inspect.isclass(found) and found.__module__.startswith("torchvision.")
            if is_view and public != "Lambda" and not issubclass(found, Exception):
                yield found


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(each) for each in value)
    return not isinstance(value, str | Mapping) or (
        isinstance(value, str) and re.fullmatch(r"[\w.]*", value, re.ASCII) is not None
    )
