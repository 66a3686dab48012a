"""The config of a resumed run: the run's recorded config with the command's changes laid over it.

A key has its recorded value unless the command names it, so nothing is chosen automatically again.
A changed value is used from the resumed step on, or refused if the run's state cannot follow it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from odc_lightning import MOVED
from odc_lightning.checkpoints import TrainingRun, epochs_of, refuse_unknown_targets
from odc_lightning.checkpoints.references import add_references, leaves
from odc_lightning.checkpoints.trust import KNOWN
from odc_lightning.config.automatic import AUTOMATIC
from odc_lightning.config.heuristics import MAX_EPOCHS
from odc_lightning.config.overrides import lay_over
from odc_lightning.config.own_input import with_input
from odc_lightning.config.own_network import OWN_INPUT, PRETRAINED, with_fitting_size
from odc_lightning.config.resolve import resolve
from odc_lightning.config.suited import AUTO
from odc_lightning.runs.resume import changes, settings
from odc_lightning.sweeps.jobs import in_multirun

# Whether a resumed run may change a key; the longest entry that the key starts with decides.
MAY_CHANGE: Mapping[str, bool] = {
    "": True,  # the length, the schedule, monitors, loggers, the machine, keys of the user
    **dict.fromkeys(("seed", "labels"), False),
    # The images are compared one by one when the checkpoint is loaded. These keys decide what an
    # epoch is, or what the memory holds:
    **dict.fromkeys(("data.batch_size", "data.drop_last", "data.sampling_with_replacement"), False),
    "data.held_back": False,
    **dict.fromkeys(("data.image_size", "data.num_views", "data.seed"), False),
    **dict.fromkeys(("trainer.accumulate_grad_batches", "trainer.limit_train_batches"), False),
    "optimizer._target_": False,
    "model": False,
    **dict.fromkeys(("model.neck.dropout", "model.head.temperature", "model.head.contrast"), True),
    "algorithm": False,
    # These are read anew at each step or epoch:
    **{
        f"algorithm.{callback}.{name}": True
        for callback, names in {
            "samples_memory": "momentum renormalize assignment place precision scratch_dir",
            "centroid_refresh": "every_n_steps clusters",
            "small_clusters": "threshold repeat moved_half",
            "balanced_clusters": "every_n_steps temperature iterations max_samples",
            "current_targets": "temperature",
            "offline_clustering": "pca_samples iterations backend scratch_dir",
            "prototype_clustering": "iterations",
        }.items()
        for name in names.split()
    },
}
# Null in one of these keys (auto in model.pretrained) means that the program chooses; a resumed run
# keeps its choice.
CHOSEN = (
    *(*AUTOMATIC, *OWN_INPUT, PRETRAINED),
    *("logger.wandb.id", "logger.wandb.group", "logger.wandb.job_type"),
)
# What a command asks for once, whatever the run recorded.
_OF_COMMAND = (
    *("ckpt_path", "run_dir", "overwrite"),
    *("train.resume", "train.run_trusted", "train.only_start"),
)
# Code that a run's config may build although the command does not name it.
_PARTS = (
    *(*KNOWN, "odc_lightning.callbacks", "odc_lightning.runs", "torch.optim"),
    *("pytorch_lightning.Trainer", "pytorch_lightning.loggers"),
    *(f"odc_lightning.{name}" for name in MOVED),  # their classes are in the packages above
)


class Resumed(NamedTuple):
    """The config of a resumed run.

    Attributes:
        config: with references; values that were chosen automatically are filled in.
        lines: one about each changed setting.
        choices: the options of groups that the command changes, by group; None if the command
            names all its keys.
    """

    config: DictConfig
    lines: list[str]
    choices: dict[str, Any] | None


def recorded_run(config: DictConfig) -> TrainingRun | None:
    """The run that a training resumes; None for a new run or a checkpoint without its run.

    A run that was stopped before its first checkpoint starts again with its own config.
    """
    if config.ckpt_path is not None:
        return TrainingRun.of(Path(config.ckpt_path))
    folder = Path(config.run_dir)
    known = config.train.resume == "auto" and (folder / "config.yaml").is_file()
    return TrainingRun(folder, folder / "checkpoints" / "last.ckpt") if known else None


def resumed(config: DictConfig, run: TrainingRun) -> Resumed:
    """Combine the recorded config of a run with that of the command.

    Args:
        config: of the command, with ``ckpt_path``. Without Hydra's command line, and in a sweep
            that resumes its jobs, the command names all its keys.
        run: that is resumed.

    Raises:
        ValueError: the run's state cannot follow a change, it has already finished, or its config
            would run unknown code.
    """
    recorded, choices = run.config, None
    _move(recorded, config.run_dir)
    is_job = in_multirun() and config.train.resume == "auto"  # `finished_before` compares it
    if is_job or not HydraConfig.initialized():
        now = config.copy()
    else:
        now = recorded.copy()
        add_references(now, run.references or config)
        choices = lay_over(now, config, run)
    OmegaConf.set_struct(now, False)
    for key in {*CHOSEN, *OmegaConf.missing_keys(now)}:
        known = OmegaConf.select(recorded, key)
        given = OmegaConf.select(now, key, throw_on_missing=False)
        if known is not None and (given is None or (key == PRETRAINED and given == AUTO)):
            OmegaConf.update(now, key, known, merge=False)
    for key in _OF_COMMAND:
        OmegaConf.update(now, key, OmegaConf.select(config, key), force_add=True)
    now = with_input(with_fitting_size(now))
    complete = resolve(now)
    if not complete.train.run_trusted:
        _refuse_foreign_code(complete, config, run)
    changed = list(changes(settings(recorded), settings(complete)))
    if config.ckpt_path is not None and not is_job:
        _refuse_changes(changed, run)
        check_length(complete, bool(changed))
    lines = [f"changed on resume: {key}={new} (it was {old})" for key, old, new in changed]
    return Resumed(now, lines, choices)


def may_change(key: str) -> bool:
    """Whether a resumed run may change a key (`MAY_CHANGE`)."""
    entries = (known for known in MAY_CHANGE if not known or f"{key}.".startswith(f"{known}."))
    return MAY_CHANGE[max(entries, key=len)]


def check_length(config: DictConfig, changed: bool = False) -> None:
    """Refuse a run that has trained for all its epochs already, if it is asked for anything new.

    Args:
        config: resolved, with ``ckpt_path``.
        changed: whether the command changes a setting; no step would use it.

    Raises:
        ValueError: see above.
    """
    length, (done, started) = config.trainer.max_epochs, epochs_of(Path(config.ckpt_path))
    if not isinstance(length, int) or length < 0:
        return
    if length < started or (changed and length == done):
        part = "" if started == done else " and a part of the next"
        raise ValueError(
            f"{MAX_EPOCHS}={length}: already finished, since {config.ckpt_path} has trained for "
            f"{done} epochs{part}; to train longer, add {MAX_EPOCHS}=N with more than {started}"
        )


def _refuse_changes(changed: list[tuple[str, Any, Any]], run: TrainingRun) -> None:
    refused = [(key, old, new) for key, old, new in changed if not may_change(key)]
    if refused:
        listed = "; ".join(f"{key}={new}, but the run has {old}" for key, old, new in refused[:5])
        raise ValueError(
            f"{listed}: the checkpoint of {run.folder} cannot follow such a change. Leave the "
            "setting out to resume the run, or start a new run in another folder"
        )


def _move(config: DictConfig, folder: str) -> None:
    """Let all paths in the run's folder, which may have moved, begin with its present path."""
    former = str(config.run_dir)
    for key, value in list(leaves(OmegaConf.to_container(config))):
        if isinstance(value, str) and (value == former or value.startswith(f"{former}/")):
            OmegaConf.update(config, key, f"{folder}{value[len(former) :]}")


def _refuse_foreign_code(complete: DictConfig, config: DictConfig, run: TrainingRun) -> None:
    """Refuse what the run's config would build, unless the command names it or it is known."""
    named = [
        str(value)
        for key, value in leaves(OmegaConf.to_container(config, resolve=False))
        if key.endswith("_target_")
    ]
    refuse_unknown_targets(complete, str(run.folder), "train.run_trusted", (*_PARTS, *named))
