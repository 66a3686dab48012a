"""The parts of a training, built from its config."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytorch_lightning as pl
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy

from odc_lightning.callbacks import in_order
from odc_lightning.checkpoints import (
    Conversion,
    DurableCheckpointIO,
    checkpoint_file,
    load_pretrained,
)
from odc_lightning.models import Backbone
from odc_lightning.module import ODCModule

SHARDING = (DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy)


def build_module(config: DictConfig) -> ODCModule:
    """The network of ``config.model``, freshly initialised, with the optimiser beside it."""
    parts = instantiate(config.model)
    return ODCModule(
        parts.backbone,
        parts.neck,
        parts.head,
        dense=parts.get("dense", False),
        num_clusters=config.algorithm.num_clusters,
        optimizer=instantiate(config.optimizer),
        scheduler=instantiate(config.scheduler),
        head_optimizer=OmegaConf.to_container(config.head_optimizer, resolve=True),  # type: ignore[arg-type]
        seed=config.seed,
        compile=config.train.compile,
    )


def load_start(config: DictConfig, backbone: Backbone) -> Conversion | None:
    """Give the backbone the weights of ``model.pretrained``.

    Returns:
        What became of the file's keys; None for a run that is resumed, or without such a file.

    Raises:
        ValueError: if they do not fit.
    """
    if config.ckpt_path is not None or config.model.pretrained is None:
        return None
    return load_pretrained(
        backbone,
        checkpoint_file(config.model.pretrained, "model.pretrained"),
        allow=config.model.pretrained_allow,
        trusted=config.model.pretrained_trusted,
    )


def build_callbacks(config: DictConfig) -> list[pl.Callback]:
    """The algorithm's callbacks and those that look on, in the order in which they must run."""
    return in_order([*build_all(config.algorithm), *build_all(config.callbacks)])


def build_trainer(config: DictConfig, more: Sequence[pl.Callback] = ()) -> pl.Trainer:
    """The Trainer with its callbacks and loggers, and checkpoints that are whole.

    Args:
        config: of a training.
        more: callbacks beside those of the config, after them and before checkpoints.

    Raises:
        ValueError: for what Lightning refuses, and for strategies that share out the weights.
    """
    callbacks, loggers = [*build_callbacks(config), *more], build_all(config.logger)
    try:
        trainer: pl.Trainer = instantiate(
            config.trainer, callbacks=callbacks, logger=loggers, plugins=[DurableCheckpointIO()]
        )
    except InstantiationException as error:
        raise ValueError(f"settings of the trainer: {error.__cause__ or error}") from error
    if isinstance(trainer.strategy, SHARDING):
        raise ValueError(
            f"trainer.strategy={config.trainer.strategy} gives each rank a part of the weights, "
            "and the memory needs whole features on every rank; networks of this size fit a "
            "device: use trainer.strategy=ddp"
        )
    return trainer


def build_all(nodes: Mapping[str, Any] | None) -> list[Any]:
    """What a config node's children describe; children without a `_target_` are settings."""
    children = (nodes or {}).values()
    return [
        instantiate(child)
        for child in children
        if isinstance(child, DictConfig) and "_target_" in child
    ]
