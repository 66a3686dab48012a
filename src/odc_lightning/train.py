"""Training: ``python -m odc_lightning.train experiment=quickstart``.

Read `train` top to bottom: settings, seed, data, network, pretrained weights, trainer with
callbacks and loggers, fit, summary.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig

from odc_lightning.callbacks import GracefulStop, OfflineClustering, find
from odc_lightning.callbacks.lifecycle.first_answer import START
from odc_lightning.callbacks.lifecycle.run_report import RunReport
from odc_lightning.cli.command import (
    ALWAYS_IRRELEVANT,
    finish_wandb,
    ignore_warnings,
    refuse_ranks_in_multirun,
    run_command,
)
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.cli.lost_ranks import report_lost_ranks
from odc_lightning.cli.recipe import with_recipe
from odc_lightning.config.build import build_module, build_pages, build_trainer, load_start
from odc_lightning.config.prepare import prepare
from odc_lightning.data import ImageDataModule
from odc_lightning.runs.closing_lines import closing_lines
from odc_lightning.runs.resume import finished_before, keep_metrics
from odc_lightning.runs.summary import Summary, read_summary
from odc_lightning.sweeps.jobs import in_multirun
from odc_lightning.utils.parent_watch import watch_rank_zero
from odc_lightning.utils.text import printable

# Warnings that every run raises and that users cannot act on.
IRRELEVANT_WARNINGS = (
    *ALWAYS_IRRELEVANT,
    "The dirpath has changed from",  # a run that is resumed in another folder
    r"Found \d+ module\(s\) in eval mode at the start of training",  # frozen statistics
)


def train(config: DictConfig, extra_callbacks: Sequence[pl.Callback] = ()) -> Summary | None:
    """Run one training and write its results to ``config.run_dir``.

    Args:
        config: composed from ``train.yaml``.
        extra_callbacks: callbacks in addition to those of the config.

    Returns:
        The summary on rank 0, None on all other ranks.

    Raises:
        ValueError: a setting, the data or a checkpoint is invalid, before training starts; or
            another rank died.
    """
    started = time.monotonic()
    ignore_warnings(IRRELEVANT_WARNINGS)
    config, lines, records = prepare(config)
    run_dir = Path(config.run_dir)
    if in_multirun() and config.train.resume == "auto":
        finished = finished_before(config)
        if finished is not None:
            print(f"already finished: {printable(run_dir)}/")
            return finished
    pl.seed_everything(config.seed, workers=True)
    data: ImageDataModule = instantiate(config.data)
    module = build_module(config)
    start = load_start(config, module.backbone)
    pages = build_pages(config, started)
    trainer = build_trainer(config, [*pages, *extra_callbacks])
    refuse_ranks_in_multirun(trainer)
    watch_rank_zero(trainer)
    keep_metrics(trainer.loggers, config.ckpt_path)
    trainer.callbacks.insert(0, RunReport(config, lines, start, started, records))  # type: ignore[attr-defined]
    failed = True
    try:
        with report_lost_ranks(trainer, run_dir):
            trainer.fit(module, datamodule=data, ckpt_path=config.ckpt_path, weights_only=True)
        failed = False
    finally:
        finish_wandb(failed)
    if not trainer.is_global_zero:
        return None
    results = run_dir / START if config.train.get("only_start") else run_dir
    summary = read_summary(results / "summary.json")
    has_features = find(trainer, OfflineClustering) is None
    print(f"\n{closing_lines(summary, results, has_features)}")
    stop = find(trainer, GracefulStop)
    if in_multirun() and stop is not None and stop.late:
        raise SystemExit(128 + stop.late)  # the remaining jobs must not start
    return summary


@hydra_command("train", with_recipe)
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(train, config)


if __name__ == "__main__":
    main()
