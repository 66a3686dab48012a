"""A short name for the images of a data config, for folders and tables."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from odc_lightning.utils.home import expanded


def short_name(data: DictConfig) -> str:
    """The name of the list or folder of the images, or that of the data set."""
    listing = OmegaConf.select(data, "train.path")
    if listing is not None:
        return Path(str(listing)).stem
    if data.root is not None:
        return expanded(data.root).resolve().name or "root"
    return str(data.name or "images")
