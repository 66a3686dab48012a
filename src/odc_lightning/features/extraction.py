"""Features of a whole data set, each image once, with the network in eval mode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import pytorch_lightning as pl
import torch
from rich import get_console
from rich.progress import track
from torch import Tensor, nn

from odc_lightning.utils.distributed import broadcast, shard, share_rows, world

Split = Literal["train", "val"]


def shows_bars(trainer: pl.Trainer) -> bool:
    """Whether to draw a progress bar: on rank 0, on a terminal, if the Trainer draws them too."""
    wanted = trainer.is_global_zero and trainer.progress_bar_callback is not None
    return wanted and get_console().is_interactive


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; afterwards every sub-module is in the mode it was in."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def extract_features(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    split: Split,
    out: Tensor,
    description: str,
) -> Tensor:
    """Fill ``out`` with the features of one split, in the order of the sample indices.

    Each rank extracts its own contiguous shard; afterwards all ranks hold all rows.

    Args:
        trainer: with a datamodule that has ``extraction_dataloader``.
        module: set to eval mode meanwhile.
        embed: images (B, 3, H, W) to features (B, D).
        split: ``"train"`` or ``"val"``.
        out: (N, D) of any precision, wherever it lies; there is never a second copy.
        description: of the progress bar.

    Returns:
        ``out``.
    """
    rows = shard(len(out), *world())
    written = rows.start
    for features in feature_batches(trainer, module, embed, split, description):
        out[written : written + len(features)] = features
        written += len(features)
    if written != rows.stop:
        raise ValueError(f"the dataloader of {split!r} ended at row {written}, not {rows.stop}")
    share_rows(out, module.device)
    return out


def feature_batches(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    split: Split,
    description: str,
) -> Iterator[Tensor]:
    """Features (B, D) fp32 of this rank's contiguous shard, batch by batch, on the module's device.

    Args:
        trainer, module, embed, split, description: see `extract_features`.
    """
    for buffer in module.buffers():
        broadcast(buffer)  # each rank has batch statistics of its own, until DDP's next forward
    loader = trainer.datamodule.extraction_dataloader(split, *world())  # type: ignore[attr-defined]
    batches = track(
        loader, description=description, disable=not shows_bars(trainer), transient=True
    )
    with evaluating(module), trainer.precision_plugin.forward_context():
        for batch in batches:
            batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
            yield embed(batch["image"]).float()


def training_batches(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    description: str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Indices (b,) and features of this rank's training batches of epoch 0, without learning.

    The network is in training mode, so features are those that the epoch would start with; running
    statistics are put back afterwards.

    Args:
        trainer: with a datamodule that has ``train_dataloader``.
        module: whose network it is.
        embed: images of a batch, with their views, to features.
        description: of the progress bar.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
    batches = track(
        loader, description=description, disable=not shows_bars(trainer), transient=True
    )
    with torch.no_grad():
        for batch in batches:
            batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
            with trainer.precision_plugin.forward_context():
                features = embed(batch["image"])
            yield batch["index"], features
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
