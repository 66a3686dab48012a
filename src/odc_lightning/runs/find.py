"""The run that a command works on, and the parts of its config that the command does not give."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints import TrainingRun, checkpoint_file, refuse_unknown_targets
from odc_lightning.runs.locate import locate

# The groups that can come from a run, each with a key that is set if the command gives the group.
_KEYS = {"model": "backbone", "data": "_target_"}


def required(config: DictConfig, key: str, expected: str) -> str:
    """The value of a required key.

    Args:
        config: of the command, before its references are resolved.
        key: the key's name.
        expected: description of its allowed values, for the message.

    Raises:
        ValueError: the key has no value.
    """
    value = OmegaConf.select(config, key, throw_on_missing=False)
    if value is None:
        raise ValueError(f"no value for {key}; add {key}=... ({expected})")
    return str(value)


def find_run(path: Path | str, option: str = "run") -> TrainingRun:
    """The run that a folder or a checkpoint belongs to.

    Args:
        path: a run's folder, or one of the checkpoints in it.
        option: the config key that gave the path, for messages.

    Raises:
        ValueError: no run belongs to the path.
    """
    file = checkpoint_file(path, option)
    run = TrainingRun.of(file)
    if run is None:
        raise ValueError(
            f"{option}={path} is a checkpoint without its run: there is no config.yaml in "
            f"{file.resolve().parent.parent}, which describes the network and its training "
            "images; expected the folder of a training run, or a checkpoint in it"
        )
    return run


def groups_of_run(config: DictConfig, *groups: str) -> list[str]:
    """The groups, of ``model`` and ``data``, that a command takes from the run."""
    return [group for group in groups if _KEYS[group] not in (config.get(group) or {})]


def with_run_config(config: DictConfig, run: TrainingRun | None, *groups: str) -> DictConfig:
    """The config, with the run's network or data if the command gives none.

    Args:
        config: of the command; single keys that it sets within a group are kept. Its ``images``
            is the folder of the run's images, if they have moved.
        run: None for a checkpoint without its run.
        groups: to complete: ``model``, ``data``.

    Raises:
        ValueError: a group is missing, and there is no run.
    """
    config = config.copy()
    OmegaConf.set_struct(config, False)
    for group in groups_of_run(config, *groups):
        given = config.get(group) or {}
        if run is None:
            raise ValueError(
                f"no {group} is given, and there is no training run beside the checkpoint to take "
                f"it from; add {group}=... to the command"
            )
        # Unresolved, so that references to a key that the command sets follow its value.
        of_run = run.unresolved_config if given else run.config
        if group == "data":
            locate(of_run.data, run, config.get("images"))
        config[group] = OmegaConf.merge(of_run[group], given)
    return config


def refuse_untrusted(config: DictConfig, where: str, groups: list[str], option: str) -> None:
    """Refuse parts of a run's config that could run arbitrary code.

    Args:
        config: completed by `with_run_config`, resolved.
        where: the run, for the message.
        groups: the groups that come from the run.
        option: the key with which the user can trust the run anyway.

    Raises:
        ValueError: see `refuse_unknown_targets`.
    """
    for group in groups:  # only the backbone of the network is built
        part = config.model.backbone if group == "model" else config.data
        refuse_unknown_targets(part, where, option)
