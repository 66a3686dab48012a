"""Search for good settings: ``python -m odc_lightning.search``.

Read `search` top to bottom: space, study, interrupted trials, new trials, the table.
"""

import logging
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
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
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.resolve import resolve
from odc_lightning.config.validation import IntegerRule, check_settings
from odc_lightning.runs.metrics_csv import whole_rows
from odc_lightning.sweeps.jobs import Job, run_job
from odc_lightning.sweeps.pruning import PRUNED, Pruning
from odc_lightning.sweeps.search_space import Choices, Range, as_override, read_space
from odc_lightning.train import train
from odc_lightning.utils.text import first_line, printable

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

Space = dict[str, Range | Choices]
# Settings that may not change when a search is resumed.
FIXED_SETTINGS = ("overrides", "space", "objective", "direction", "seed")


def search(config: DictConfig) -> None:
    """Run trials until ``config.n_trials`` have ended, previous ones included.

    Each trial is a training in ``trials/NUMBER``. The output is ``best.yaml`` and the study.

    Raises:
        ValueError: the space or another setting is invalid, before the first trial.
    """
    config = resolve(config)
    if not IntegerRule(1).accepts(config.n_trials):
        raise ValueError(f"n_trials={config.n_trials}; expected {IntegerRule(1)}")
    if config.direction not in ("maximize", "minimize"):
        raise ValueError(f"direction={config.direction}; expected maximize or minimize")
    space = space_of(config)
    check_trial(config, space)
    folder = Path(config.run_dir)
    with readable_storage(config, folder):
        storage = open_storage(config, folder)
        study = begin_study(config, folder, storage)
        former = unfinished(study, storage, config.seed)
    for trial in former:
        run_trial(study, trial, config, space)
    while len(study.trials) < config.n_trials:
        study.sampler = sampler(config.seed, len(study.trials))
        run_trial(study, study.ask(), config, space)
    write_results(study, config, folder)


def space_of(config: DictConfig) -> Space:
    """The config's search space; a ValueError if it is invalid."""
    return read_space(OmegaConf.to_container(config, resolve=False)["space"])  # type: ignore


def check_trial(config: DictConfig, space: Space) -> None:
    """Refuse keys that a training does not have, and settings without a value."""
    try:
        job = composed(config, 0, [as_override(key, entry.first) for key, entry in space.items()])
        check_settings(resolve(_without_hydra(job)))
    except (HydraException, OmegaConfBaseException) as error:
        reason = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise ValueError(f"overrides and space do not make a valid training: {reason}") from error


def open_storage(config: DictConfig, folder: Path) -> "optuna.storages.RDBStorage":
    """The database of the search; a file in its folder unless the config names another.

    Raises:
        ValueError: Optuna is not installed.
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


@contextmanager
def readable_storage(config: DictConfig, folder: Path) -> Iterator[None]:
    """Turn errors of a damaged database into a ValueError.

    Raises:
        ValueError: the storage cannot be read.
    """
    try:
        yield
    except (ValueError, OSError, HydraException):
        raise
    except Exception as error:  # of SQLAlchemy, of the database's driver, of JSON in a cell
        where = config.storage or folder / "study.db"
        raise ValueError(
            f"the search in {where} cannot be read: {first_line(error)}; restore it from a copy, "
            f"or move it away to start a new search (the trainings in {folder / 'trials'} stay)"
        ) from error


def begin_study(
    config: DictConfig, folder: Path, storage: "optuna.storages.RDBStorage"
) -> "optuna.Study":
    """Create the study of the search, or load it from the storage.

    Raises:
        ValueError: the stored study has other settings.
    """
    import optuna

    study = optuna.create_study(
        storage=storage,
        study_name=config.name,
        direction=config.direction,
        pruner=instantiate(config.pruner) if config.pruner else optuna.pruners.NopPruner(),
        load_if_exists=True,
    )
    settings: Any = OmegaConf.to_container(config)
    for key in FIXED_SETTINGS:
        now = settings[key]
        before = study.user_attrs.get(key, now)
        if before != now:
            raise ValueError(
                f"the search in {folder} was started with {key}={before}, not {now}; choose "
                "another name=..., which gives another folder"
            )
        study.set_user_attr(key, now)
    return study


def sampler(seed: int, number: int) -> "optuna.samplers.BaseSampler":
    """Optuna's default sampler, seeded for one trial.

    A trial's values thus depend only on the trials before it, also after a kill.
    """
    import optuna

    trial_seed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    return optuna.samplers.TPESampler(seed=trial_seed)


def unfinished(
    study: "optuna.Study", storage: "optuna.storages.RDBStorage", seed: int
) -> "list[optuna.Trial]":
    """The trials that were running when the search was stopped or killed."""
    import optuna

    study_id = storage.get_study_id_from_name(study.study_name)
    trials = []
    for running in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.sampler = sampler(seed, running.number)
        trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, running.number)
        trials.append(optuna.Trial(study, trial_id))
    return trials


def run_trial(
    study: "optuna.Study", trial: "optuna.Trial", config: DictConfig, space: Space
) -> None:
    """Start or resume a training with the trial's values, and report the result to the study."""
    import optuna

    chosen = {key: entry.suggest(trial, key) for key, entry in space.items()}
    overrides = [as_override(key, value) for key, value in chosen.items()]
    print(f"\ntrial {trial.number}: {printable(' '.join(overrides))}", flush=True)
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
    _ = done.return_value  # raises an error that `run_job` could not record
    folder = trial_folder(config, trial.number)
    value = None
    if Job(trial.number, overrides, folder).state == "finished":
        value = last_value(folder / "metrics.csv", config.objective)
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise ValueError(
                f"objective={config.objective} is in no row of {folder / 'metrics.csv'}; expected "
                f"a metric that the training logs there"
            )
    if value is None or not math.isfinite(value):
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    elif PRUNED in trial.user_attrs:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, value)


def trial_folder(config: DictConfig, number: int) -> Path:
    """The folder of a trial."""
    return Path(config.run_dir) / "trials" / f"{number:04}"


def composed(config: DictConfig, number: int, overrides: list[str]) -> DictConfig:
    """The config of a trial's training, with its ``hydra`` section."""
    folder = trial_folder(config, number).resolve()
    job_settings: dict[str, str | int] = {
        "hydra.mode": "MULTIRUN",
        "hydra.job.name": "train",
        "hydra.job.num": number,
        "hydra.sweep.dir": str(folder.parent),
        "hydra.sweep.subdir": folder.name,
    }
    fixed = ["train.resume=auto", *(as_override(key, value) for key, value in job_settings.items())]
    return compose("train", [*config.overrides, *overrides, *fixed], return_hydra_config=True)


def last_value(metrics_csv: Path, metric: str) -> float | None:
    """The last logged value of a metric; None if it was never logged."""
    values = [row.get(metric) for row in whole_rows(metrics_csv)]
    known = [value for value in values if value]
    return float(known[-1]) if known else None


def write_results(study: "optuna.Study", config: DictConfig, folder: Path) -> None:
    """Print all trials and write the best one; exit with code 1 if a trial failed."""
    print(f"\n{table(study)}\n{printable(folder)}/", flush=True)
    ended = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    if ended:
        best = study.best_trial
        description = {
            "objective": config.objective,
            "value": best.value,
            "trial": str(trial_folder(config, best.number)),
            "overrides": [
                *config.overrides,
                *(as_override(key, value) for key, value in best.params.items()),
            ],
        }
        OmegaConf.save(OmegaConf.create(description), folder / "best.yaml")
    if any(trial.state.name == "FAIL" for trial in study.trials):
        sys.exit(1)


def table(study: "optuna.Study") -> str:
    """One line per trial: number, state, objective, values."""
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
    job.run_dir = "."  # Hydra sets it when the job runs
    return job


@hydra_command("search")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(search, config)


if __name__ == "__main__":
    main()
