"""Construction of a training's parts from its config."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy

from odc_lightning.callbacks import NamedClusters, in_order
from odc_lightning.callbacks.lifecycle.cluster_page import FinalPage
from odc_lightning.callbacks.lifecycle.first_answer import FirstAnswer
from odc_lightning.checkpoints import (
    Conversion,
    DurableCheckpointIO,
    checkpoint_file,
    load_pretrained,
)
from odc_lightning.checkpoints.timm_weights import timm_name
from odc_lightning.models import Backbone
from odc_lightning.module import ODCModule
from odc_lightning.utils.errors import without_wrapper
from odc_lightning.utils.text import first_line

SHARDING = (DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy)


def build_module(config: DictConfig) -> ODCModule:
    """The network of ``config.model``, freshly initialised, with its optimiser and schedule."""
    parts = instantiate(config.model)
    return ODCModule(
        parts.backbone,
        parts.neck,
        parts.head,
        dense=parts.get("dense", False),
        frozen_statistics=parts.get("frozen_statistics", False),
        num_clusters=config.algorithm.num_clusters,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        head_optimizer=OmegaConf.to_container(config.head_optimizer, resolve=True),  # type: ignore[arg-type]
        seed=config.seed,
        compile=config.train.compile,
    )


def load_start(config: DictConfig, backbone: Backbone) -> Conversion | None:
    """Load the weights of ``model.pretrained`` into the backbone.

    Returns:
        How each key of the file was mapped; None for a resumed run, or without pretrained weights.

    Raises:
        ValueError: the weights do not match the backbone.
    """
    if config.ckpt_path is not None or config.model.pretrained is None:
        return None
    pretrained = str(config.model.pretrained)
    return load_pretrained(
        backbone,
        pretrained if timm_name(pretrained) else checkpoint_file(pretrained, "model.pretrained"),
        allow=config.model.pretrained_allow,
        trusted=config.model.pretrained_trusted,
    )


def build_callbacks(config: DictConfig) -> list[pl.Callback]:
    """The callbacks of the algorithm and the monitors, in the order in which they must run."""
    labels = config.get("labels")  # runs of earlier versions have not recorded it
    names = [] if labels is None else [NamedClusters(str(labels))]
    return in_order([*names, *build_all(config.algorithm), *build_all(config.callbacks)])


def build_pages(config: DictConfig, started: float) -> list[pl.Callback]:
    """The callbacks of ``train.pages`` and ``train.only_start``.

    Args:
        config: of a training, resolved.
        started: ``time.monotonic()`` of the command's start.

    Raises:
        ValueError: ``train.only_start`` without a pretrained network, or of a run that has trained.
    """
    # Runs of earlier versions have recorded neither.
    pages, only = (bool(config.train.get(key)) for key in ("pages", "only_start"))
    run_dir = Path(config.run_dir)
    if only and config.ckpt_path is not None:
        raise ValueError(
            f"train.only_start=true, but the run has trained already ({config.ckpt_path}); leave "
            "it out to resume the run, or start a new one"
        )
    if only and config.model.pretrained is None:
        raise ValueError(
            "train.only_start=true without a pretrained network, whose clusters it would show; "
            "add model.pretrained=FILE or model.pretrained=timm:NAME"
        )
    callbacks: list[pl.Callback] = []
    if (pages or only) and config.ckpt_path is None and config.model.pretrained is not None:
        callbacks.append(FirstAnswer(config, started, only))
    if pages and not only:
        callbacks.append(FinalPage(run_dir, str(config.name)))
    return callbacks


def build_trainer(config: DictConfig, extra_callbacks: Sequence[pl.Callback] = ()) -> pl.Trainer:
    """The Trainer with callbacks, loggers and checkpoints that are never left incomplete.

    Args:
        config: of a training.
        extra_callbacks: callbacks that run after those of the config and before checkpoints.

    Raises:
        ValueError: Lightning refuses a setting, or the strategy shards the weights.
    """
    callbacks = in_order([*build_callbacks(config), *extra_callbacks])
    loggers = build_all(config.logger)
    with refused_settings():
        trainer: pl.Trainer = instantiate(
            config.trainer, callbacks=callbacks, logger=loggers, plugins=[DurableCheckpointIO()]
        )
    if isinstance(trainer.strategy, SHARDING):
        raise ValueError(
            f"trainer.strategy={config.trainer.strategy} splits the weights between ranks, but "
            "the samples memory needs complete features on every rank. Networks of this size fit "
            "on one device: use trainer.strategy=ddp"
        )
    return trainer


@contextmanager
def refused_settings() -> Iterator[None]:
    """Report in one line why Lightning's Trainer refuses a setting.

    Raises:
        ValueError: replaces errors of many types.
    """
    try:
        yield
    except Exception as error:
        reason = first_line(without_wrapper(error))
        raise ValueError(f"invalid trainer settings: {reason}") from error


def build_all(nodes: Mapping[str, Any] | None) -> list[Any]:
    """The objects that the children of a config node describe; plain settings are skipped."""
    children = (nodes or {}).values()
    return [
        instantiate(child)
        for child in children
        if isinstance(child, DictConfig) and "_target_" in child
    ]
