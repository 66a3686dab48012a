"""The run that a command is about, and its config where the command gives none."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints import TrainingRun, checkpoint_file, refuse_unknown_targets

# The groups that a run can complete, and the key without which the command leaves them to it.
_KEYS = {"model": "backbone", "data": "_target_"}


def required(config: DictConfig, key: str, expected: str) -> str:
    """The value of a key that a command cannot do without.

    Args:
        config: of the command, before its references are resolved.
        key: its name.
        expected: what it may be, for the message.

    Raises:
        ValueError: it has no value.
    """
    value = OmegaConf.select(config, key, throw_on_missing=False)
    if value is None:
        raise ValueError(f"no value yet for {key}: add {key}=..., {expected}")
    return str(value)


def find_run(path: Path | str, option: str = "run") -> TrainingRun:
    """The run that a folder or a checkpoint belongs to.

    Args:
        path: of a run's folder, or of one of the checkpoints in it.
        option: what the user calls it, for messages.

    Raises:
        ValueError: there is none.
    """
    file = checkpoint_file(path, option)
    run = TrainingRun.of(file)
    if run is None:
        raise ValueError(
            f"{option}={path} is a checkpoint without its run: there is no config.yaml in "
            f"{file.resolve().parent.parent}, which says what network this is and which images it "
            "was trained on; expected the folder of a training run, or a checkpoint in it"
        )
    return run


def groups_of_run(config: DictConfig, *groups: str) -> list[str]:
    """Those of the groups ``model`` and ``data`` that a command leaves to the run."""
    return [group for group in groups if _KEYS[group] not in (config.get(group) or {})]


def with_run_config(config: DictConfig, run: TrainingRun | None, *groups: str) -> DictConfig:
    """The config with the run's own network or data where the command gives none.

    Args:
        config: of the command; single keys that it gives within a group are kept.
        run: None if a checkpoint has no run beside it.
        groups: to complete, of ``model`` and ``data``.

    Raises:
        ValueError: a group is missing, and there is no run.
    """
    config = config.copy()
    OmegaConf.set_struct(config, False)
    for group in groups_of_run(config, *groups):
        given = config.get(group) or {}
        if run is None:
            raise ValueError(
                f"no {group} yet: there is no training run beside the checkpoint to take it from, "
                f"so add {group}=... to the command"
            )
        # References to a key that the command gives have to follow it.
        own = run.unresolved_config if given else run.config
        config[group] = OmegaConf.merge(own[group], given)
    return config


def refuse_untrusted(config: DictConfig, where: str, groups: list[str], option: str) -> None:
    """Refuse parts of a run's config that could run any code.

    Args:
        config: completed by `with_run_config`, resolved.
        where: the run, for the message.
        groups: that come from the run.
        option: the key by which the user can trust it all the same.

    Raises:
        ValueError: see `refuse_unknown_targets`.
    """
    for group in groups:  # of the network nothing but the backbone is built
        part = config.model.backbone if group == "model" else config.data
        refuse_unknown_targets(part, where, option)
