"""Backbones, necks and heads."""

from odc_lightning.models.alexnet import AlexNet
from odc_lightning.models.backbone import POOLED, Backbone, layer_features, stage_features
from odc_lightning.models.convnet import ConvNet
from odc_lightning.models.heads import ColorizationHead, Head, LinearHead, PrototypeHead
from odc_lightning.models.necks import (
    CenteringNeck,
    JigsawNeck,
    NoNeck,
    NonLinearNeck,
    ProjectionNeck,
)
from odc_lightning.models.resnet import ResNet
from odc_lightning.models.sobel import Sobel
from odc_lightning.models.timm_backbone import TimmBackbone
from odc_lightning.models.vgg import VGG16

__all__ = [
    "POOLED",
    "VGG16",
    "AlexNet",
    "Backbone",
    "CenteringNeck",
    "ColorizationHead",
    "ConvNet",
    "Head",
    "JigsawNeck",
    "LinearHead",
    "NoNeck",
    "NonLinearNeck",
    "ProjectionNeck",
    "PrototypeHead",
    "ResNet",
    "Sobel",
    "TimmBackbone",
    "layer_features",
    "stage_features",
]
