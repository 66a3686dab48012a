"""Checkpoints: how they are read, which network is in them, and which run they are from."""

from odc_lightning.checkpoints.backbone import backbone_weights, load_backbone
from odc_lightning.checkpoints.read import checkpoint_file, read_checkpoint
from odc_lightning.checkpoints.run import TrainingRun

__all__ = [
    "TrainingRun",
    "backbone_weights",
    "checkpoint_file",
    "load_backbone",
    "read_checkpoint",
]
