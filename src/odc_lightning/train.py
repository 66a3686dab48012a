"""Train: ``python -m odc_lightning.train experiment=quickstart``.

Read `train` top to bottom: settings, seed, data, network, what it starts from, trainer with
callbacks and loggers, fit, report.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import hydra
import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch.multiprocessing.spawn import ProcessException

from odc_lightning.callbacks import GracefulStop, find
from odc_lightning.callbacks.lifecycle.run_report import RunReport
from odc_lightning.cli.command import (
    ALWAYS_IRRELEVANT,
    finish_wandb,
    ignore_warnings,
    refuse_ranks_in_multirun,
    resolve,
    run_command,
)
from odc_lightning.config import CONFIG_DIR
from odc_lightning.config.automatic import fitted_to_machine
from odc_lightning.config.build import build_module, build_trainer, load_start, sized
from odc_lightning.config.validation import check_settings
from odc_lightning.data import ImageDataModule
from odc_lightning.runs.closing_lines import closing_lines
from odc_lightning.runs.resume import finished_before, keep_metrics, with_checkpoint, with_wandb_run
from odc_lightning.runs.summary import Summary, read_summary
from odc_lightning.sweeps.jobs import in_multirun
from odc_lightning.utils.distributed import is_lost_rank, refusal_of_rank

log = logging.getLogger(__name__)

# Said of every run, and nothing that its user could act on.
IRRELEVANT_WARNINGS = (
    *ALWAYS_IRRELEVANT,
    "The dirpath has changed from",  # a continued run has a folder of its own
)


def train(config: DictConfig, more: Sequence[pl.Callback] = ()) -> Summary | None:
    """Run one training and leave its results in ``config.run_dir``.

    Args:
        config: composed from ``train.yaml``.
        more: callbacks that are in no config.

    Returns:
        The summary, on rank 0 alone.
    """
    started = time.monotonic()
    ignore_warnings(IRRELEVANT_WARNINGS)
    config = with_wandb_run(with_checkpoint(config))
    continued = config.ckpt_path is not None
    if continued and OmegaConf.is_missing(config.model, "pretrained"):
        config.model.pretrained = None  # it is not read
    check_settings(resolve(config))  # before the images are counted
    config, fitted = fitted_to_machine(config)
    config, chosen = sized(config)
    resolved = resolve(config)
    run_dir = Path(config.run_dir)
    if in_multirun() and config.train.resume == "auto":
        finished = finished_before(resolved)
        if finished is not None:
            print(f"finished before: {run_dir}/")
            return finished
    pl.seed_everything(config.seed, workers=True)
    data: ImageDataModule = instantiate(config.data)
    module = build_module(config)
    start = None if continued else load_start(config, module.backbone)
    trainer = build_trainer(config, more)
    refuse_ranks_in_multirun(trainer)
    keep_metrics(trainer.loggers, config.ckpt_path)
    trainer.callbacks.insert(0, RunReport(resolved, fitted + chosen, start, started))  # type: ignore[attr-defined]
    failed = True
    try:
        trainer.fit(module, datamodule=data, ckpt_path=config.ckpt_path, weights_only=True)
        failed = False
    except ProcessException as error:  # of ddp_spawn
        said = refusal_of_rank(error)
        raise ValueError(said or lost_rank(trainer, run_dir)) from error
    except RuntimeError as error:
        if not is_lost_rank(error):
            raise
        raise ValueError(lost_rank(trainer, run_dir)) from error
    finally:
        finish_wandb(failed)
    if not trainer.is_global_zero:
        return None
    summary = read_summary(run_dir / "summary.json")
    print(f"\n{closing_lines(summary, run_dir)}")
    stop = find(trainer, GracefulStop)
    if in_multirun() and stop is not None and stop.late:
        raise SystemExit(128 + stop.late)  # the jobs that are left are not to begin
    return summary


def lost_rank(trainer: pl.Trainer, run_dir: Path) -> str:
    """What to say, and do, about a rank that is gone."""
    return (
        f"rank {trainer.global_rank} has lost another rank, which has died: look for its message "
        "above, or into the system's log if it was killed (out of memory?). To go on from the last "
        f"checkpoint, add train.resume=auto hydra.run.dir={run_dir}"
    )


@hydra.main(version_base="1.3", config_path=CONFIG_DIR, config_name="train")
def main(config: DictConfig) -> None:
    """Command line entry."""
    run_command(train, config)


if __name__ == "__main__":
    main()
