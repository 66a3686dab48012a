"""Backbones, and the neck and head that ODC puts on top of them."""

from odc_lightning.models.alexnet import AlexNet
from odc_lightning.models.backbone import POOLED, Backbone, stage_features
from odc_lightning.models.convnet import ConvNet
from odc_lightning.models.heads import ColorizationHead, Head, LinearHead
from odc_lightning.models.necks import JigsawNeck, NoNeck, NonLinearNeck
from odc_lightning.models.resnet import ResNet
from odc_lightning.models.sobel import Sobel
from odc_lightning.models.timm_backbone import TimmBackbone

__all__ = [
    "POOLED",
    "AlexNet",
    "Backbone",
    "ColorizationHead",
    "ConvNet",
    "Head",
    "JigsawNeck",
    "LinearHead",
    "NoNeck",
    "NonLinearNeck",
    "ResNet",
    "Sobel",
    "TimmBackbone",
    "stage_features",
]
