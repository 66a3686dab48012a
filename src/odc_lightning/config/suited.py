"""The pretrained network that suits the machine, for ``model.pretrained=auto``."""

from omegaconf import DictConfig, OmegaConf

from odc_lightning.checkpoints.timm_weights import SCHEME
from odc_lightning.config.automatic import BACKBONE, IMAGE_SIZE, is_null, trains_on_gpu
from odc_lightning.config.heuristics import suited_weights
from odc_lightning.config.own_network import PRETRAINED

AUTO = "auto"  # null means random weights


def with_suited_weights(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Fill ``model.pretrained`` where it is `AUTO`, and then ``data.image_size`` where it is null.

    Returns:
        The config, and one line about the choice.

    Raises:
        ValueError: another network than that of the weights is named.
    """
    if OmegaConf.select(config, PRETRAINED, throw_on_missing=False) != AUTO:
        return config, []
    if config.model.get("backbone") is not None:
        raise ValueError(
            f"{PRETRAINED}=auto chooses the network, but {BACKBONE} is given; add "
            f"{PRETRAINED}=FILE or {PRETRAINED}=timm:NAME for it, or {PRETRAINED}=null to start "
            "from random weights"
        )
    config = config.copy()
    chosen = suited_weights(trains_on_gpu(str(config.trainer.accelerator)))
    config.model.pretrained = f"{SCHEME}{chosen.name}"
    if chosen.image_size is not None and is_null(config, IMAGE_SIZE):
        config.data.image_size = chosen.image_size
    return config, [f"{PRETRAINED}={config.model.pretrained}: {chosen.reason}"]
