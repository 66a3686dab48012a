"""Preparation of a training's config, before anything is built from it."""

from omegaconf import DictConfig, OmegaConf

from odc_lightning.config.automatic import with_automatic_settings
from odc_lightning.config.resolve import resolve
from odc_lightning.config.validation import check_arguments, check_settings
from odc_lightning.runs.resume import with_checkpoint, with_wandb_run


def prepare(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Find the checkpoint to resume from, check the settings, choose values for null settings.

    Args:
        config: composed from ``train.yaml``.

    Returns:
        The config with all references resolved, and one line about each value that was chosen.

    Raises:
        ValueError: a setting is wrong or missing.
    """
    config = with_wandb_run(with_checkpoint(config))
    if config.ckpt_path is not None and OmegaConf.is_missing(config.model, "pretrained"):
        config.model.pretrained = None  # a resumed run does not read it
    check_settings(resolve(config))  # before the images are counted
    config, chosen = with_automatic_settings(config)
    config = resolve(config)
    check_arguments(config)
    return config, chosen
