"""Extraction of features within a Trainer, over the ranks of a run."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from rich import get_console
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader

from odc_lightning.utils.arrays import IntArray
from odc_lightning.utils.distributed import broadcast, shard, share_rows, world

Split = Literal["train", "val"]


def shows_bars(trainer: pl.Trainer) -> bool:
    """Return whether to draw a progress bar: on rank 0, on a terminal, if the Trainer has one."""
    enabled = trainer.is_global_zero and trainer.progress_bar_callback is not None
    return enabled and get_console().is_interactive


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Set eval mode and disable gradients; restore the mode of every sub-module afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def uncompiled() -> AbstractContextManager[None]:
    """Run compiled modules as they are.

    The smaller last batch of a pass would make the graph of the training symbolic and slower, and
    each mode would compile another graph.
    """
    return torch.compiler.set_stance("force_eager")


def extract_features(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    split: Split,
    out: Tensor,
    description: str,
) -> Tensor:
    """Fill ``out`` with the features of one split, in the order of the sample indices.

    Each rank extracts its contiguous shard; afterwards all ranks hold all rows.

    Args:
        trainer: with a datamodule that has ``extraction_dataloader``.
        module: network, set to eval mode during the extraction.
        embed: maps images (B, 3, H, W) to features (B, D).
        split: ``"train"`` or ``"val"``.
        out: (N, D) of any precision, on any device or in a mapped file; it is never copied.
        description: text of the progress bar.

    Returns:
        ``out``.

    Raises:
        ValueError: if the dataloader gives fewer or more images than the shard has.
    """
    return _fill(out, feature_batches(trainer, module, embed, split, description), split, module)


def extract_rows(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    rows: IntArray,
    out: Tensor,
    description: str,
    views: bool = False,
) -> Tensor:
    """Fill ``out`` with the features of some training images, as `extract_features` does.

    Args:
        trainer: with a datamodule that has ``rows_dataloader``.
        module, description: see `extract_features`.
        embed: maps images to features; with ``views``, (B, V, 3, H, W) to (B, V, D).
        rows: (M,) indices.
        out: (M, ...).
        views: features of augmented views, see `odc_lightning.data.ImageDataModule`.
    """
    loader = trainer.datamodule.rows_dataloader(rows, *world(), views)  # type: ignore[attr-defined]
    return _fill(out, _embedded(loader, trainer, module, embed, description), "rows", module)


def _fill(out: Tensor, batches: Iterable[Tensor], what: str, module: pl.LightningModule) -> Tensor:
    """Write this rank's features to its shard of ``out`` and share all rows."""
    rows = shard(len(out), *world())
    written = rows.start
    for features in batches:
        out[written : written + len(features)] = features
        written += len(features)
    if written != rows.stop:
        raise ValueError(
            f"the extraction dataloader of {what!r} ended at row {written}, expected {rows.stop}"
        )
    share_rows(out, module.device)
    return out


def feature_batches(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    split: Split,
    description: str,
) -> Iterator[Tensor]:
    """Yield features (B, D) fp32 of this rank's contiguous shard, on the module's device.

    Args:
        trainer, module, embed, split, description: see `extract_features`.
    """
    loader = trainer.datamodule.extraction_dataloader(split, *world())  # type: ignore[attr-defined]
    return _embedded(loader, trainer, module, embed, description)


def _embedded(
    loader: DataLoader[Any],
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    description: str,
) -> Iterator[Tensor]:
    """Yield the features of each batch of a dataloader."""
    for buffer in module.buffers():
        broadcast(buffer)  # batch statistics differ between ranks until DDP's next forward
    batches = track(
        loader, description=description, disable=not shows_bars(trainer), transient=True
    )
    with evaluating(module), trainer.precision_plugin.forward_context(), uncompiled():
        for batch in batches:
            batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
            yield embed(batch["image"]).float()


def training_batches(
    trainer: pl.Trainer,
    module: pl.LightningModule,
    embed: Callable[[Tensor], Tensor],
    description: str,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield indices (b,) and features of this rank's training batches of epoch 0.

    The network is in training mode but its weights do not change, so the features are those at the
    start of the epoch. Running statistics are restored afterwards.

    Args:
        trainer: with a datamodule that has ``train_dataloader``.
        module: module whose buffers are restored.
        embed: maps the images of a batch, with their views, to features.
        description: text of the progress bar.
    """
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    loader = trainer.datamodule.train_dataloader()  # type: ignore[attr-defined]
    batches = track(
        loader, description=description, disable=not shows_bars(trainer), transient=True
    )
    with torch.no_grad(), uncompiled():
        for batch in batches:
            batch = trainer.strategy.batch_to_device(trainer.precision_plugin.convert_input(batch))
            with trainer.precision_plugin.forward_context():
                features = embed(batch["image"])
            yield batch["index"], features
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
