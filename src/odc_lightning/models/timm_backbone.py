"""Any image network of timm as a backbone; needs the optional extra ``timm``."""

from typing import Any

from torch import Tensor

from odc_lightning.models.backbone import Backbone

# Weights of a TimmBackbone have timm's names with this prefix.
PREFIX = "network."


class TimmBackbone(Backbone):
    """A timm network without its classifier.

    Stages are timm's feature levels of the network, renamed ``conv1``, ``conv2``, ... in order;
    their number depends on the network.

    Attributes:
        classifiers: prefixes of the names of the classifier's weights in timm's checkpoints.

    Args:
        name: timm's name of the network, such as ``convnext_tiny``.
        pretrained: load timm's weights; most are trained with labels, so the result is then no
            longer unsupervised.
        **kwargs: passed to ``timm.create_model``.

    Raises:
        ModuleNotFoundError: if timm is not installed.
    """

    def __init__(self, name: str, pretrained: bool = False, **kwargs: Any) -> None:
        super().__init__()
        try:
            import timm
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"Backbone {name!r} comes from timm, which is not installed; "
                "run: pip install odc-lightning[timm]"
            ) from error
        self.name = name
        self.network = timm.create_model(name, pretrained=pretrained, num_classes=0, **kwargs)
        # Some networks (MobileNetV3, VGG) widen their features once more before the classifier.
        self.num_features = getattr(self.network, "head_hidden_size", self.network.num_features)
        self.map_channels = self.network.num_features
        # Weights of timm's checkpoints that this network does not have start with one of these.
        names = self.network.pretrained_cfg.get("classifier") or ()
        names = (names,) if isinstance(names, str) else names
        self.classifiers = tuple(f"{name}." for name in names)
        levels = getattr(self.network, "feature_info", [])
        self.stages = {
            f"conv{position}": f"{PREFIX}{level['module']}"
            for position, level in enumerate(levels, start=1)
        }

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into pooled features (B, num_features)."""
        features: Tensor = self.network(images)
        return features

    def maps(self, images: Tensor) -> Tensor:
        """Turn images (B, 3, H, W) into the last feature map (B, map_channels, h, w).

        Raises:
            ValueError: if the network has none, such as vision transformers.
        """
        maps: Tensor = self.network.forward_features(images)
        if maps.ndim != 4 or maps.shape[1] != self.map_channels:
            raise ValueError(
                f"{self.name} gives features of shape {tuple(maps.shape)}, expected feature maps "
                f"(B, {self.map_channels}, h, w); choose a convolutional network"
            )
        return maps
