"""Rotation prediction as a pretext task (RotNet; Gidaris, Singh and Komodakis, ICLR 2018)."""

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.features.extraction import Split
from odc_lightning.module import ODCModule
from odc_lightning.pretext.rotations import NUM_ROTATIONS, four_rotations


class Rotation(Pretext):
    """Show each image rotated by 0, 90, 180 and 270 degrees; the network predicts the rotation."""

    targets = "rotations"

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Check the number of outputs of the head.

        Raises:
            ValueError: if the head does not have four outputs.
        """
        super().setup(trainer, pl_module, stage)
        outputs = ODCModule.of(pl_module).num_clusters
        if outputs != NUM_ROTATIONS:
            raise ValueError(
                f"the head has {outputs} outputs and there are {NUM_ROTATIONS} rotations; set "
                f"algorithm.num_clusters={NUM_ROTATIONS}"
            )

    def pose(
        self, images: Tensor, indices: Tensor, split: Split, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Return views (B, 4, 3, S, S) and their quarter turns (4 B,), without randomness."""
        return four_rotations(images)
