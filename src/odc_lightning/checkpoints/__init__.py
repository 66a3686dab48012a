"""Checkpoints: reading, conversion to the backbone's names, safe writing, and their run."""

from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.checkpoints.durable import (
    DurableCheckpointIO,
    check_whole,
    epochs_of,
    newest_whole,
    step_of,
)
from odc_lightning.checkpoints.formats import FORMATS, convert
from odc_lightning.checkpoints.pretrained import load_pretrained, match_weights
from odc_lightning.checkpoints.read import checkpoint_file, read_checkpoint
from odc_lightning.checkpoints.run import TrainingRun
from odc_lightning.checkpoints.trust import refuse_unknown_targets

__all__ = [
    "FORMATS",
    "Conversion",
    "DurableCheckpointIO",
    "Row",
    "TrainingRun",
    "check_whole",
    "checkpoint_file",
    "convert",
    "epochs_of",
    "load_pretrained",
    "match_weights",
    "newest_whole",
    "read_checkpoint",
    "refuse_unknown_targets",
    "step_of",
]
