"""Checkpoints: reading, conversion to the backbone's names, safe writing, and their run."""

from odc_lightning.checkpoints.building import build, building, refuse_oversized
from odc_lightning.checkpoints.clustering_state import clustering_states
from odc_lightning.checkpoints.conversion import Conversion, Row
from odc_lightning.checkpoints.durable import (
    DurableCheckpointIO,
    check_whole,
    epochs_of,
    newest_whole,
    step_of,
    write_checkpoint,
)
from odc_lightning.checkpoints.formats import FORMATS, convert
from odc_lightning.checkpoints.pretrained import load_pretrained, match_weights
from odc_lightning.checkpoints.read import KEPT, checkpoint_file, read_checkpoint
from odc_lightning.checkpoints.run import TrainingRun
from odc_lightning.checkpoints.run_config import (
    read_plain_yaml,
    read_run_config,
    read_values,
    selected,
)
from odc_lightning.checkpoints.trust import refuse_unknown_targets

__all__ = [
    "FORMATS",
    "KEPT",
    "Conversion",
    "DurableCheckpointIO",
    "Row",
    "TrainingRun",
    "build",
    "building",
    "check_whole",
    "checkpoint_file",
    "clustering_states",
    "convert",
    "epochs_of",
    "load_pretrained",
    "match_weights",
    "newest_whole",
    "read_checkpoint",
    "read_plain_yaml",
    "read_run_config",
    "read_values",
    "refuse_oversized",
    "refuse_unknown_targets",
    "selected",
    "step_of",
    "write_checkpoint",
]
