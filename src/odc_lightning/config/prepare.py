"""Preparation of a training's config, before anything is built from it."""

from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from odc_lightning.config.automatic import AUTOMATIC, with_automatic_settings
from odc_lightning.config.own_input import with_input
from odc_lightning.config.own_network import OWN_INPUT, with_fitting_size, with_own_network
from odc_lightning.config.resolve import resolve
from odc_lightning.config.resumed import check_length, recorded_run, resumed
from odc_lightning.config.suited import with_suited_weights
from odc_lightning.config.validation import (
    CHOSEN_LATER,
    check_arguments,
    check_groups,
    check_settings,
)
from odc_lightning.runs.resume import with_checkpoint, with_wandb_run


class Prepared(NamedTuple):
    """The config that a training uses.

    Attributes:
        config: with all references resolved.
        lines: for the log, about each value that was chosen automatically or changed on resume.
        records: for a resumed run, the files in ``.hydra`` that describe it, by name.
    """

    config: DictConfig
    lines: list[str]
    records: dict[str, DictConfig]


def prepare(config: DictConfig) -> Prepared:
    """Find the run to resume, or choose values for null settings; check the settings.

    Args:
        config: composed from ``train.yaml``.

    Raises:
        ValueError: a setting is wrong or missing, or the run cannot be resumed with it.
    """
    check_groups(config)
    config = with_checkpoint(config)
    run = recorded_run(config)
    records: dict[str, DictConfig] = {}
    lines: list[str] = []
    if run is not None:
        config, lines, choices = resumed(config, run)
        if choices is not None:
            # Hydra would describe the command that resumes, which names a few settings only.
            records = {"config.yaml": config, "hydra.yaml": run.hydra_with(choices)}
    config = with_wandb_run(config)
    if config.ckpt_path is not None and OmegaConf.is_missing(config.model, "pretrained"):
        config.model.pretrained = None  # a resumed run does not read it
    config, suited = with_suited_weights(config)
    config, of_weights = with_own_network(config)
    check_settings(resolve(config))  # before the images are counted
    check_arguments(resolve(with_chosen_later(config)))
    config, chosen = with_automatic_settings(config)
    config = with_input(with_fitting_size(config))
    if config.ckpt_path is not None and run is None:
        check_length(config)
    config = resolve(config)
    check_arguments(config)
    return Prepared(config, lines + suited + of_weights + chosen, records)


def with_chosen_later(config: DictConfig) -> DictConfig:
    """A copy with a text in place of each null that is chosen automatically."""
    config = config.copy()
    for key in (*AUTOMATIC, *OWN_INPUT):
        if OmegaConf.select(config, key) is None:
            OmegaConf.update(config, key, CHOSEN_LATER, force_add=True)
    return config
