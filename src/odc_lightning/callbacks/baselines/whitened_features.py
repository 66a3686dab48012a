"""DeepCluster's features of the whole data set: extracted to disk, whitened, L2-normalised."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from odc_lightning.clustering import Moments, moments, project_rows, whitening
from odc_lightning.features.extraction import feature_batches
from odc_lightning.features.scratch import scratch_rows
from odc_lightning.models import layer_features
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import from_rank_zero, shard, share_rows, sum_tensors, world


def whitened_features(
    trainer: pl.Trainer,
    module: ODCModule,
    num_samples: int,
    dim: int,
    *,
    layer: str | None,
    num_drawn: int,
    rng: np.random.Generator,
    folder: Path | None,
) -> Tensor:
    """Extract, whiten by PCA and L2-normalise the features of all training images in eval mode.

    Each rank extracts its shard to a file. The PCA is computed from sums over the drawn samples of
    all ranks; then each rank reads its file and projects the features in blocks.

    Args:
        trainer: with a datamodule that has ``extraction_dataloader``.
        module: network that computes the features.
        num_samples: N.
        dim: D, the maximum number of principal components to keep.
        layer: dotted path of a layer of the backbone; None is the neck's output.
        num_drawn: maximum number of random samples from which the PCA is computed.
        rng: generator that draws these samples, in the same state on every rank.
        folder: folder of the file; None is the system's temporary folder.

    Returns:
        (N, D) fp32 on the module's device, equal on all ranks.
    """
    embed: Callable[[Tensor], Tensor] = module.embed
    if layer is not None:
        embed = partial(_layer, module, layer)
    rows = shard(num_samples, *world())
    batches = feature_batches(trainer, module, embed, "train", "DeepCluster: features")
    with scratch_rows(batches, rows.stop - rows.start, folder) as raw:
        drawn = rng.choice(num_samples, min(num_drawn, num_samples), replace=False)
        local = np.sort(drawn[(drawn >= rows.start) & (drawn < rows.stop)]) - rows.start
        sums = Moments(*sum_tensors(moments(raw, torch.from_numpy(local)), module.device))
        project = from_rank_zero(lambda: whitening(sums, dim))
        whitened = torch.empty(num_samples, project.matrix.shape[1], device=module.device)
        project_rows(project, raw, whitened[rows])
    share_rows(whitened)
    return whitened


def _layer(module: ODCModule, path: str, images: Tensor) -> Tensor:
    return layer_features(module.backbone, images, path)
