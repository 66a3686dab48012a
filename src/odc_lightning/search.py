"""Search for good settings: ``python -m odc_lightning.search``.

Read `search` top to bottom: space, study, the trials that a kill has left, new trials, the table.
"""

import logging
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
import numpy as np
from filelock import FileLock, Timeout
from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import run_job as hydra_run_job
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import HydraContext
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from odc_lightning.cli.command import run_command
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.resolve import resolve
from odc_lightning.config.validation import IntegerRule, check_settings
from odc_lightning.runs.metrics_csv import whole_rows
from odc_lightning.sweeps.jobs import Job, run_job
from odc_lightning.sweeps.pruning import PRUNED, Pruning
from odc_lightning.sweeps.search_space import Choices, Range, as_override, read_space
from odc_lightning.train import train

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

Space = dict[str, Range | Choices]
# What makes a search another one.
BEGUN_WITH = ("overrides", "space", "objective", "direction", "seed")


def search(config: DictConfig) -> None:
    """Run trials until ``config.n_trials`` have ended, those of before included.

    Each is a training of its own in ``trials/NUMBER``. What is left is ``best.yaml`` and the study.

    Raises:
        ValueError: if the space or another setting is wrong, before the first trial.
    """
    config = resolve(config)
    if not IntegerRule(1).accepts(config.n_trials):
        raise ValueError(f"n_trials={config.n_trials}; expected {IntegerRule(1)}")
    if config.direction not in ("maximize", "minimize"):
        raise ValueError(f"direction={config.direction}; expected maximize or minimize")
    space = space_of(config)
    check_trial(config, space)
    folder = Path(config.run_dir)
    try:
        lock = FileLock(folder / ".lock").acquire(blocking=False)
    except Timeout:
        raise ValueError(
            f"another search is at work in {folder}; choose hydra.run.dir=..."
        ) from None
    with lock:
        storage = open_storage(config, folder)
        study = begin_study(config, folder, storage)
        for trial in unfinished(study, storage, config.seed):
            run_trial(study, trial, config, space)
        while len(study.trials) < config.n_trials:
            study.sampler = sampler(config.seed, len(study.trials))
            run_trial(study, study.ask(), config, space)
        write_results(study, config, folder)


def space_of(config: DictConfig) -> Space:
    """What the config says to choose from; a ValueError if it is none."""
    return read_space(OmegaConf.to_container(config, resolve=False)["space"])  # type: ignore


def check_trial(config: DictConfig, space: Space) -> None:
    """Refuse keys that a training does not have, and what it has no value for."""
    try:
        job = composed(config, 0, [as_override(key, entry.first) for key, entry in space.items()])
        check_settings(resolve(_without_hydra(job)))
    except (HydraException, OmegaConfBaseException) as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise ValueError(f"no training can be made of overrides and space: {reason}") from error


def open_storage(config: DictConfig, folder: Path) -> "optuna.storages.RDBStorage":
    """The database of the search, a file in its folder if the config names no other.

    Raises:
        ValueError: if Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ValueError(
            "a search needs Optuna, which is not installed: pip install 'odc-lightning[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    url = config.storage or f"sqlite:///{folder.resolve() / 'study.db'}"
    return optuna.storages.RDBStorage(url)


def begin_study(
    config: DictConfig, folder: Path, storage: "optuna.storages.RDBStorage"
) -> "optuna.Study":
    """The study of the search, the previous one if the storage has it."""
    import optuna

    study = optuna.create_study(
        storage=storage,
        study_name=config.name,
        direction=config.direction,
        pruner=instantiate(config.pruner) if config.pruner else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    settings: Any = OmegaConf.to_container(config)
    for key in BEGUN_WITH:
        now = settings[key]
        before = study.user_attrs.get(key, now)
        if before != now:
            raise ValueError(
                f"the search in {folder} was begun with {key}={before}, and this is {now}; choose "
                "another name=..., which is another folder"
            )
        study.set_user_attr(key, now)
    return study


def sampler(seed: int, number: int) -> "optuna.samplers.BaseSampler":
    """Optuna's default, with random numbers of the trial's own.

    So what a trial gets follows from the trials before it, also after a kill.
    """
    import optuna

    own = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=own)


def unfinished(
    study: "optuna.Study", storage: "optuna.storages.RDBStorage", seed: int
) -> "list[optuna.Trial]":
    """The trials that a search was at when it was stopped or killed."""
    import optuna

    study_id = storage.get_study_id_from_name(study.study_name)
    trials = []
    for left in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.sampler = sampler(seed, left.number)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, left.number)
        trials.append(optuna.Trial(study, trial_id))
    return trials


def run_trial(
    study: "optuna.Study", trial: "optuna.Trial", config: DictConfig, space: Space
) -> None:
    """Train, or go on, with what the trial chooses, and tell the study what came out."""
    import optuna

    chosen = {key: entry.suggest(trial, key) for key, entry in space.items()}
    overrides = [as_override(key, value) for key, value in chosen.items()]
    print(f"\ntrial {trial.number}: {' '.join(overrides)}", flush=True)
    job = composed(config, trial.number, overrides)

    def task(run: DictConfig) -> None:
        train(run, [Pruning(trial, config.objective)])

    # Hydra calls the context's callbacks when the job starts and ends; this one does nothing.
    context = HydraContext(GlobalHydra.instance().config_loader(), Callback())  # type: ignore[arg-type]
    done = hydra_run_job(
        lambda run: run_job(task, run),
        job,
        "hydra.sweep.dir",
        "hydra.sweep.subdir",
        context,
    )
    _ = done.return_value  # which raises what `run_job` could not mark
    folder = trial_folder(config, trial.number)
    value = None
    if Job(trial.number, overrides, folder).state == "finished":
        value = last_value(folder / "metrics.csv", config.objective)
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise ValueError(
                f"objective={config.objective} is in no row of {folder / 'metrics.csv'}; expected "
                f"a metric of a training that is logged there"
            )
    if value is None or not math.isfinite(value):
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    elif PRUNED in trial.user_attrs:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, value)


def trial_folder(config: DictConfig, number: int) -> Path:
    """Where a trial is."""
    return Path(config.run_dir) / "trials" / f"{number:04}"


def composed(config: DictConfig, number: int, overrides: list[str]) -> DictConfig:
    """The config of a trial's training, with Hydra's own part."""
    folder = trial_folder(config, number).resolve()
    hydras: dict[str, str | int] = {
        "hydra.mode": "MULTIRUN",
        "hydra.job.name": "train",
        "hydra.job.num": number,
        "hydra.sweep.dir": str(folder.parent),
        "hydra.sweep.subdir": folder.name,
    }
    always = ["train.resume=auto", *(as_override(key, value) for key, value in hydras.items())]
    return compose("train", [*config.overrides, *overrides, *always], return_hydra_config=True)


def last_value(metrics_csv: Path, metric: str) -> float | None:
    """What was logged last of a metric; None if it was not."""
    values = [row.get(metric) for row in whole_rows(metrics_csv)]
    known = [value for value in values if value]
    return float(known[-1]) if known else None


def write_results(study: "optuna.Study", config: DictConfig, folder: Path) -> None:
    """Print all trials, write the best one; exit code 1 if one has failed."""
    print(f"\n{table(study)}\n{folder}/", flush=True)
    ended = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if ended:
        best = study.best_trial
        found = {
            "objective": config.objective,
            "value": best.value,
            "trial": str(trial_folder(config, best.number)),
            "overrides": [
                *config.overrides,
                *(as_override(key, value) for key, value in best.params.items()),
            ],
        }
        OmegaConf.save(OmegaConf.create(found), folder / "best.yaml")
    if any(trial.state.name == "FAIL" for trial in study.trials):
        sys.exit(1)


def table(study: "optuna.Study") -> str:
    """A line a trial: number, how it ended, the objective, what it had chosen."""
    states = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}
    lines = []
    for trial in study.trials:
        value = "-" if trial.value is None else f"{trial.value:.4g}"
        chosen = " ".join(as_override(key, each) for key, each in trial.params.items())
        lines.append(f"{trial.number:>4}  {states[trial.state.name]:<9}{value:>10}  {chosen}")
    return "\n".join(lines)


def _without_hydra(job: DictConfig) -> DictConfig:
    job = job.copy()
    OmegaConf.set_struct(job, False)
    job.pop("hydra")
    job.run_dir = "."  # which only Hydra knows, when it runs
    return job


@hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name="search")
def main(config: DictConfig) -> None:
    """Command line entry."""
    run_command(search, config)


if __name__ == "__main__":
    main()
