"""The network and the input of pretrained weights, for settings that a command leaves open."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from odc_lightning.checkpoints import (
    TrainingRun,
    checkpoint_file,
    efficientnet,
    read_checkpoint,
    refuse_unknown_targets,
)
from odc_lightning.checkpoints.formats import convert
from odc_lightning.checkpoints.mismatch import OPTIONS, network_name
from odc_lightning.checkpoints.timm_weights import same_network, timm_name, weights_config
from odc_lightning.checkpoints.trust import TIMM_ARGUMENTS
from odc_lightning.config.automatic import BACKBONE, IMAGE_SIZE, backbone_of_option, is_null
from odc_lightning.config.own_input import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    INTERPOLATION,
    MEAN,
    STD,
    OwnInput,
    input_of_view,
)
from odc_lightning.data.transforms import RESAMPLING
from odc_lightning.utils.json_file import read_json

PRETRAINED = "model.pretrained"
TIMM_BACKBONE = "odc_lightning.models.TimmBackbone"
OWN_INPUT = (IMAGE_SIZE, MEAN, STD, INTERPOLATION)
_CONVNET = "odc_lightning.models.ConvNet"


def with_own_network(config: DictConfig) -> tuple[DictConfig, list[str]]:
    """Fill the network and its input from ``model.pretrained``, where they are null.

    Args:
        config: of a training; that of a resumed run is returned as it is.

    Returns:
        The config, and one line about each value that was chosen.

    Raises:
        ValueError: the weights are of another network than ``model.backbone``, or do not tell
            which network they are of.
        WeightsUnavailable: timm has no weights of that name.
    """
    given = OmegaConf.select(config, PRETRAINED, throw_on_missing=False)
    if given is None or config.ckpt_path is not None:
        return config, []
    config, lines = config.copy(), []
    OmegaConf.set_struct(config, False)
    pretrained, trusted = str(given), bool(config.model.get("pretrained_trusted", False))
    name, backbone = timm_name(pretrained), config.model.get("backbone")
    if name is not None:
        weights_config(name)  # refuses an unknown name
    if backbone is None:
        config.model.backbone = own_backbone(pretrained, trusted)
        lines.append(f"{BACKBONE}={_shown(config.model.backbone)}: the network of {pretrained}")
    elif name is not None:
        _check_timm(backbone, name)
        if OmegaConf.is_missing(backbone, "name"):
            backbone.name = name
            lines.append(f"{BACKBONE}.name={name}: the network of {pretrained}")
    open_keys = [key for key in OWN_INPUT if is_null(config, key)]
    if open_keys:
        values = own_input(pretrained, config.model.backbone)._asdict()
        for key in open_keys:
            value = values[key.rpartition(".")[2]]
            if value is not None:
                OmegaConf.update(config, key, list(value) if isinstance(value, tuple) else value)
                lines.append(f"{key}={OmegaConf.select(config, key)}: the pretrained network's own")
    return config, lines


def own_backbone(pretrained: str, trusted: bool = False) -> DictConfig:
    """The config of the network that pretrained weights are of.

    Args:
        pretrained: ``timm:NAME``, a run's folder, an export, a folder of timm as on the Hugging
            Face hub, or a file.
        trusted: see `read_checkpoint` and `refuse_unknown_targets`.

    Raises:
        ValueError: the weights do not tell, or a config beside them would build unknown code.
    """
    if (name := timm_name(pretrained)) is not None:
        return OmegaConf.create({"_target_": TIMM_BACKBONE, "name": name})
    file = checkpoint_file(pretrained, PRETRAINED)
    run = TrainingRun.of(file)
    found = run.config.model.backbone if run is not None else _of_folder(_config_json(file))
    if found is None:
        found = _of_weights(
            convert(read_checkpoint(file, trusted=trusted, option=PRETRAINED)).weights
        )
    if found is None:
        raise ValueError(
            f"{PRETRAINED}={pretrained} does not tell which network its weights are of; name it: "
            f"model={' or '.join(OPTIONS)}, or model=timm model.backbone.name=NAME"
        )
    config = OmegaConf.create(found)
    if not trusted:
        refuse_unknown_targets(config, pretrained, f"{PRETRAINED}_trusted")
    return config


def own_input(pretrained: str, backbone: DictConfig) -> OwnInput:
    """The input of pretrained weights.

    Args:
        pretrained: see `own_backbone`.
        backbone: config of their network.

    Returns:
        That of the run, of the folder, or of timm's network; else ImageNet's, which published
        weights of the other networks have. The input of a file of this package's network for small
        images is not known.
    """
    if (name := timm_name(pretrained)) is not None:
        return input_of_timm(name)
    file = checkpoint_file(pretrained, PRETRAINED)
    if (run := TrainingRun.of(file)) is not None:
        view = OmegaConf.to_container(run.config.data.eval_transform)
        return input_of_view(view, run.config.data.image_size)
    about = _config_json(file)
    if "architecture" in about:
        return _input_of(about.get("pretrained_cfg", about))
    if backbone.get("_target_") == _CONVNET or OmegaConf.is_missing(backbone, "name"):
        return OwnInput(None, None, None, None)
    if backbone.get("_target_") == TIMM_BACKBONE:
        return input_of_timm(str(backbone.name))
    return OwnInput(224)


def input_of_timm(name: str) -> OwnInput:
    """The input with which the weights of a network of timm were trained."""
    import timm

    cfg = timm.get_pretrained_cfg(name)
    return OwnInput(224) if cfg is None else _input_of(cfg.to_dict())


def with_fitting_size(config: DictConfig) -> DictConfig:
    """The config, in which a network of timm for one image size is built for ``data.image_size``.

    Most vision transformers are such networks. A given ``img_size`` stays.
    """
    import timm

    backbone = OmegaConf.select(config, BACKBONE)
    if backbone is None or backbone.get("_target_") != TIMM_BACKBONE:
        return config
    if OmegaConf.is_missing(backbone, "name"):
        return config
    cfg = timm.get_pretrained_cfg(str(backbone.name))
    side = config.data.image_size
    free = backbone.get("img_size") is not None or backbone.get("dynamic_img_size")
    if cfg is None or not cfg.fixed_input_size or free or side == cfg.input_size[-1]:
        return config
    config = config.copy()
    OmegaConf.update(config, f"{BACKBONE}.img_size", side, force_add=True)
    return config


def _check_timm(backbone: DictConfig, name: str) -> None:
    """Refuse a network that timm's weights are not of.

    Raises:
        ValueError: see above.
    """
    target = str(backbone.get("_target_"))
    known = None if OmegaConf.is_missing(backbone, "name") else backbone.get("name")
    is_timm = target == TIMM_BACKBONE
    if is_timm and (known is None or same_network(str(known), name)):
        return
    found = known if is_timm else target.rpartition(".")[2]
    raise ValueError(
        f"{PRETRAINED}=timm:{name} has weights of that network, but {BACKBONE} is {found}; add "
        "model=timm, and leave out model.backbone.name"
    )


def _config_json(file: Path) -> dict[str, Any]:
    """``config.json`` beside the weights of a folder; empty if there is none."""
    beside = file.parent / "config.json"
    content = read_json(beside) if beside.is_file() else {}
    return content if isinstance(content, dict) else {}


def _of_folder(about: dict[str, Any]) -> dict[str, Any] | None:
    """The network that ``config.json`` of an export or of timm describes."""
    import timm

    ours = about.get("odc_lightning")
    if isinstance(ours, dict) and isinstance(ours.get("backbone"), dict):
        return {key: value for key, value in ours["backbone"].items() if key != "pretrained"}
    name = about.get("architecture")
    if not isinstance(name, str) or not timm.is_model(name):
        return None
    cfg, arguments = about.get("pretrained_cfg", about), about.get("model_args")
    tagged = f"{name}.{cfg.get('tag')}" if isinstance(cfg, dict) else name
    given = arguments if isinstance(arguments, dict) else {}
    return {
        "_target_": TIMM_BACKBONE,
        "name": tagged if timm.is_model_pretrained(tagged) else name,
        **{key: value for key, value in given.items() if key in TIMM_ARGUMENTS},
    }


def _of_weights(weights: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """The network whose weights have these names and shapes; None if it is not known."""
    name = network_name(weights) or efficientnet.network_name(weights)
    if name is None:
        return None
    if name not in OPTIONS:
        return {"_target_": TIMM_BACKBONE, "name": name}
    backbone = backbone_of_option(name)
    stem = next(weight for weight in weights.values() if weight.ndim == 4)
    if "small_images" in backbone:
        backbone.small_images = stem.shape[-1] == 3
    if "width" in backbone:
        backbone.width = len(weights["conv1.1.running_mean"])
    backbone.sobel = stem.shape[1] == 2
    return OmegaConf.to_container(backbone)  # type: ignore[return-value]


def _input_of(cfg: Any) -> OwnInput:
    """The input that a configuration of timm describes; where it is silent, ImageNet's."""
    default = OwnInput(224)
    cfg = cfg if isinstance(cfg, dict) else {}
    size = cfg.get("input_size")
    name = cfg.get("interpolation")
    return OwnInput(
        int(size[-1]) if isinstance(size, list | tuple) else default.image_size,
        tuple(cfg.get("mean") or IMAGENET_MEAN),
        tuple(cfg.get("std") or IMAGENET_STD),
        name if name in RESAMPLING else default.interpolation,
    )


def _shown(backbone: DictConfig) -> str:
    """A network's config in a few words: ``TimmBackbone(name=resnet18)``."""
    plain = {str(key): value for key, value in backbone.items()}
    arguments = ", ".join(f"{key}={value}" for key, value in plain.items() if key[0] != "_")
    return f"{str(plain['_target_']).rpartition('.')[2]}({arguments})"
