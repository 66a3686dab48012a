"""Evaluation: ``python -m odc_lightning.evaluate checkpoint=RUN protocol=knn``.

Read `evaluate` top to bottom: config, network, data, protocols, scores, tables.
"""

import logging
import time
from pathlib import Path

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.utilities import rank_zero_only
from rich import get_console

from odc_lightning.checkpoints import (
    TrainingRun,
    build,
    building,
    checkpoint_file,
    load_pretrained,
    refuse_oversized,
)
from odc_lightning.cli.command import (
    ALWAYS_IRRELEVANT,
    finish_wandb,
    ignore_warnings,
    refuse_ranks_in_multirun,
    run_command,
)
from odc_lightning.cli.hydra_command import hydra_command
from odc_lightning.config.build import build_all, refused_settings
from odc_lightning.config.own_input import with_input_of_run
from odc_lightning.config.resolve import resolve
from odc_lightning.data import ImageDataModule
from odc_lightning.data.short_name import short_name
from odc_lightning.evaluation import EvaluatedNetwork, Protocol
from odc_lightning.metrics.scores import UNTRAINED, Evaluation, Score
from odc_lightning.models import Backbone
from odc_lightning.reporting.figures import draw_low_shot
from odc_lightning.reporting.tables import evaluation_table, print_evaluation
from odc_lightning.runs.find import groups_of_run, refuse_untrusted, required, with_run_config
from odc_lightning.runs.images import as_read_by, images_of_run, present_images
from odc_lightning.runs.results import write_results
from odc_lightning.runs.wandb_run import with_wandb_group
from odc_lightning.utils.home import expanded
from odc_lightning.utils.parent_watch import watch_rank_zero
from odc_lightning.utils.text import printable
from odc_lightning.utils.timing import timed

log = logging.getLogger(__name__)

# Warnings that every evaluation raises and that users cannot act on.
IRRELEVANT_WARNINGS = (
    *ALWAYS_IRRELEVANT,
    "The '.*' does not have many workers",
    "The number of training batches .* is smaller than the logging interval",
    "You defined a `validation_step` but have no `val_dataloader`",
    "Checkpoint directory .* exists and is not empty",
)


def evaluate(config: DictConfig) -> Evaluation:
    """Evaluate one network and write the results to ``config.run_dir``.

    Args:
        config: composed from ``evaluate.yaml``.

    Returns:
        All scores; on ranks above 0 only those of protocols that run on all ranks.

    Raises:
        ValueError: a setting, the data or the checkpoint is invalid, or no protocol applies.
        Exception: the error of the first protocol that failed, after the results of the others are
            written.
    """
    started = time.monotonic()
    ignore_warnings(IRRELEVANT_WARNINGS)
    run = run_of(config)
    from_run = groups_of_run(config, "model", "data")
    own_images = "data" in from_run and not names_other_images(config.get("data"))
    config = config.copy()
    config.name = config.name or name_of(config, run)
    config = resolve(with_run_config(config, run, *from_run))
    if run is not None:
        config.data = as_read_by(config.data, run)
    if run is not None and not config.checkpoint_trusted:
        refuse_untrusted(config, str(config.checkpoint), from_run, "checkpoint_trusted")
    config = with_input_of_run(config, None if run is None else run.config.data)
    config = with_wandb_group(config, "evaluate")
    pl.seed_everything(config.seed, workers=True, verbose=False)
    backbone = build_backbone(config)
    check_benchmark(config, backbone.name)
    network = build_network(config, backbone, run, own_images)
    with refused_settings():
        trainer = network.make_trainer()
    refuse_ranks_in_multirun(trainer)
    watch_rank_zero(trainer)
    protocols: list[Protocol] = build_all(config.get("protocol"))
    evaluation = Evaluation(
        name=config.name,
        checkpoint=str(config.checkpoint),
        backbone=backbone.name,
        # The slash keeps a folder of that name from being taken for the published `imagenet`.
        data=network.data.name or f"{short_name(config.data)}/",
    )
    chosen = applicable(protocols, network, evaluation)
    if network.held_out:
        evaluation.data += f", {config.holdout:.0%} of the training images held out"
    elif config.published and not config.data.subset:
        evaluation.published = True
    failures: list[Exception] = []
    try:
        failures = measure(chosen, network, evaluation, trainer.is_global_zero)
        if trainer.is_global_zero:
            write_evaluation(evaluation, config, time.monotonic() - started)
    finally:
        finish_wandb(bool(failures))
    if failures:
        raise failures[0]
    return evaluation


def run_of(config: DictConfig) -> TrainingRun | None:
    """The training run that the checkpoint belongs to; None if its config is not beside it."""
    expected = "a checkpoint file, the folder of a training run, or untrained"
    checkpoint = required(config, "checkpoint", expected)
    return None if checkpoint == UNTRAINED else TrainingRun.of(checkpoint_file(checkpoint))


def build_backbone(config: DictConfig) -> Backbone:
    """The backbone with the checkpoint's weights."""
    what = f"the network for checkpoint={config.checkpoint}"
    run = run_of(config)
    if run is not None:
        refuse_oversized(lambda: [build(config.model.backbone, what)], run.checkpoint, what)
    backbone: Backbone = build(config.model.backbone, what)
    if config.checkpoint != UNTRAINED:
        conversion = load_pretrained(
            backbone,
            checkpoint_file(config.checkpoint),
            allow=config.checkpoint_allow,
            trusted=config.checkpoint_trusted,
            option="checkpoint",
        )
        rank_zero_only(log.info)("weights of %s %s", config.checkpoint, conversion.summary)
    return backbone


def check_benchmark(config: DictConfig, backbone: str) -> None:
    """Check that the settings of ``benchmark=...`` are the paper's for this network.

    Raises:
        ValueError: the paper evaluates the network with the settings of another benchmark.
    """
    suited = config.benchmark_of.get(backbone)
    if config.published and suited:
        raise ValueError(
            f"this benchmark does not have the paper's settings for {backbone}; use "
            f"benchmark={suited}, or published=false to compare with no published results"
        )


def build_network(
    config: DictConfig, backbone: Backbone, run: TrainingRun | None, own_images: bool
) -> EvaluatedNetwork:
    """The network and the data, set up for evaluation.

    Args:
        config: resolved.
        backbone: to evaluate.
        run: of the backbone, if there is one.
        own_images: whether to take the run's training images by name, without those that were
            added since.
    """
    what = f"the data for checkpoint={config.checkpoint}"
    data: ImageDataModule = build(config.data, what)
    if run is not None and own_images:
        names = run.image_names()
        if names is not None:
            data.build_train = lambda: present_images(images_of_run(config.data, names))
            data.subset = None  # the names are those of the subset
    with building(what):
        data.setup("predict")
    return EvaluatedNetwork(
        backbone,
        data,
        instantiate(config.trainer, enable_progress_bar=get_console().is_interactive),
        expanded(config.features_dir),
        Path(config.run_dir),
        config.seed,
        config.holdout,
        run.clusters if run else lambda names: None,
    )


def names_other_images(data: DictConfig | None) -> bool:
    """Whether the command changes keys of the run's data that decide which images there are."""
    data = data or OmegaConf.create()
    return bool({"root", "subset"} & set(data) or {"root", "path"} & set(data.get("train") or {}))


def name_of(config: DictConfig, run: TrainingRun | None) -> str:
    """The network's name in tables if ``name`` is null."""
    if config.checkpoint == UNTRAINED:
        return "untrained network"
    return str(run.config.name) if run else Path(str(config.checkpoint)).stem


def applicable(
    protocols: list[Protocol], network: EvaluatedNetwork, evaluation: Evaluation
) -> list[Protocol]:
    """The protocols that apply to the data, those for all ranks first.

    Raises:
        ValueError: no protocol applies.
    """
    reasons = {protocol.name: protocol.skip_reason(network) for protocol in protocols}
    evaluation.skipped = {name: reason for name, reason in reasons.items() if reason}
    chosen = [protocol for protocol in protocols if not reasons[protocol.name]]
    if not chosen:
        listed = "; ".join(f"{name}: {reason}" for name, reason in evaluation.skipped.items())
        raise ValueError(
            f"no protocol applies to the data: {listed or 'none is chosen, add protocol=NAME'}"
        )
    return sorted(chosen, key=lambda protocol: not protocol.uses_trainer)


def measure(
    protocols: list[Protocol],
    network: EvaluatedNetwork,
    evaluation: Evaluation,
    is_rank_zero: bool,
) -> list[Exception]:
    """Extract the features in one pass over the images, then run the protocols.

    Args:
        protocols: to run, those for all ranks first.
        network: to evaluate.
        evaluation: receives the scores.
        is_rank_zero: whether this is rank 0, which alone runs the remaining protocols.

    Returns:
        The errors of failed protocols; the other protocols keep their scores.
    """
    failures: list[Exception] = []
    with timed("features", is_rank_zero):
        network.prepare([layer for protocol in protocols for layer in protocol.layers(network)])
    for protocol in protocols:
        if is_rank_zero or protocol.uses_trainer:
            try:
                with timed(protocol.name, is_rank_zero):
                    evaluation.scores += protocol(network)
            except Exception as error:
                evaluation.skipped[protocol.name] = f"failed: {error}"
                log.error("%s failed; the other protocols continue: %s", protocol.name, error)
                failures.append(error)
    return failures


def write_evaluation(evaluation: Evaluation, config: DictConfig, seconds: float) -> None:
    """Write the results and the figure, log the scores, print the table."""
    run_dir = Path(config.run_dir)
    run_dir.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, run_dir / "config.yaml")
    settings = OmegaConf.to_container(config.protocol)
    write_results(run_dir / "results.json", evaluation, settings=settings, seconds=seconds)
    (run_dir / "results.md").write_text(evaluation_table([evaluation]), encoding="utf-8")
    if any(score.protocol == "low_shot" for score in evaluation.scores):
        draw_low_shot([evaluation], run_dir / "low_shot.png")
    else:
        (run_dir / "low_shot.png").unlink(missing_ok=True)  # of an evaluation that is replaced
    for logger in build_all(config.logger):
        logger.log_hyperparams(OmegaConf.to_container(config))
        logger.log_metrics({metric_name(score): score.value for score in evaluation.scores}, step=0)
        logger.save()
    print_evaluation([evaluation])
    get_console().print(f"{printable(run_dir)}/", highlight=False, soft_wrap=True, markup=False)


def metric_name(score: Score) -> str:
    """The name of a score in logs: ``linear/conv4/top1`` or ``knn/pooled/top1/k=20``."""
    parts = [score.protocol, score.layer, score.metric, score.setting.replace(" ", "_")]
    return "/".join(filter(None, parts))


@hydra_command("evaluate")
def main(config: DictConfig) -> None:
    """Command-line entry point."""
    run_command(evaluate, config)


if __name__ == "__main__":
    main()
