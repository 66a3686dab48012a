"""Rotation prediction (RotNet; Gidaris, Singh and Komodakis, ICLR 2018)."""

import pytorch_lightning as pl
from torch import Tensor

from odc_lightning.callbacks.baselines.pretext import Pretext
from odc_lightning.features.extraction import Split
from odc_lightning.module import ODCModule
from odc_lightning.pretext.rotations import NUM_ROTATIONS, four_rotations


class Rotation(Pretext):
    """Show each image in its four quarter turns; the network says which is which."""

    targets = "rotations"

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Refuse a head of another width.

        Raises:
            ValueError: the head has not four outputs.
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
        """Views (B, 4, 3, S, S) and quarter turns (4 B,); nothing is drawn at random."""
        return four_rotations(images)
