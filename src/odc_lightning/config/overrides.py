"""The keys that a command line names, laid over the config of the run that it resumes."""

from collections.abc import Iterator, Mapping
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints import TrainingRun
from odc_lightning.checkpoints.references import leaves
from odc_lightning.runs.resume import changes


def lay_over(now: DictConfig, config: DictConfig, run: TrainingRun) -> dict[str, Any]:
    """Write the keys that the command line names over a config, in place.

    The option of a group that the run has already changes nothing.

    Args:
        now: of the run that is resumed.
        config: of the command, as Hydra composed it.
        run: that is resumed.

    Returns:
        The options that differ from the run's, by group.
    """
    hydra = HydraConfig.get()
    lines = list(hydra.overrides.task)
    named = OmegaConf.to_container(hydra.runtime.choices)
    assert isinstance(named, dict)
    plain = OmegaConf.to_container(config, resolve=False)
    choices = {}
    OmegaConf.set_struct(now, False)
    overrides = OverridesParser.create().parse_overrides(lines)
    groups = [override.input_line for override in overrides if _group(override) in named]
    for override in overrides:
        key, group = override.key_or_group, _group(override)
        if group in named:
            if run.choices.get(group, ...) != named[group]:
                choices[group] = named[group]
                _put(now, plain, override.package or key.replace("/", "."))
                for part in _keys_of(override.input_line, groups):
                    _put(now, plain, part)
        elif override.is_delete():
            _put(now, {}, key)
        else:
            for part, _ in leaves(override.value(), key):
                _put(now, plain, part)
    return choices


def _group(override: Override) -> str:
    """The group that an override chooses an option of, as Hydra records it; else its key."""
    key, package = override.key_or_group, override.package
    return key if package is None else f"{key}@{package}"


def _keys_of(line: str, groups: list[str]) -> Iterator[str]:
    """The keys that the option of a group sets anywhere: those that change with it.

    Args:
        line: the override.
        groups: all overrides of the command that choose options. Single settings, which may exist
            only with the option, are laid over by themselves.
    """
    name = HydraConfig.get().job.config_name
    others = [each for each in groups if each != line]
    try:
        without, chosen = (compose(name, each) for each in (others, groups))
    except HydraException:  # another group exists only with this option
        without, chosen = (compose(name, each) for each in ([], [line]))
    plain = [OmegaConf.to_container(config, resolve=False) for config in (without, chosen)]
    for key, _, _ in changes(*plain):
        yield key


def _put(now: DictConfig, plain: Any, key: str) -> None:
    """Copy the unresolved value of a key, or remove the key where there is none."""
    value, (*parents, name) = plain, key.split(".")
    for each in (*parents, name):
        value = value.get(each, ...) if isinstance(value, Mapping) else ...
    if value is not ...:
        OmegaConf.update(now, key, value, merge=False, force_add=True)
        return
    parent = OmegaConf.select(now, ".".join(parents)) if parents else now
    if isinstance(parent, DictConfig):
        parent.pop(name, None)
