"""Linear probes on the stages of the frozen network (Sec. 4.1, Tables 1 and 2)."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from pytorch_lightning.callbacks import ModelCheckpoint
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from odc_lightning.callbacks import Progress
from odc_lightning.checkpoints import read_checkpoint
from odc_lightning.data import IndexedDataset
from odc_lightning.data.dataset import Transform
from odc_lightning.evaluation.linear_probes import Batches, FeatureRows, Labelled, LinearProbes
from odc_lightning.evaluation.network import EvaluatedNetwork
from odc_lightning.evaluation.protocol import Protocol, needs_one_class_each
from odc_lightning.features.digests import digest_weights
from odc_lightning.metrics.scores import Score
from odc_lightning.models.frozen_features import FrozenFeatures

# Keys of Lightning's checkpoints that a training resumes from, and ours.
CHECKPOINT_KEYS = {"state_dict", "optimizer_states", "lr_schedulers", "loops", "network"}


class Linear(Protocol):
    """The accuracies of linear probes after their last epoch, see `linear_probes.LinearProbes`.

    Args:
        max_epochs: of training.
        batch_size: over all ranks.
        optimizer: called with the probes' parameters.
        scheduler: called with the optimiser.
        layers: stages, and ``pooled`` for the backbone's output; None for all.
        augmentation: of the training images, which then pass through the network each epoch, as in
            the paper; None trains on features of the evaluation view, which are kept on disk.
        ckpt_path: checkpoint of an interrupted training to resume; one is written each epoch.

    Raises:
        ValueError: ``ckpt_path`` is not a checkpoint of an interrupted evaluation.
    """

    name = "linear"
    uses_trainer = True

    def __init__(
        self,
        max_epochs: int,
        batch_size: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        layers: Sequence[str] | None = None,
        augmentation: Transform | None = None,
        ckpt_path: str | None = None,
    ) -> None:
        if ckpt_path is not None:
            _check(Path(ckpt_path))
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.chosen = layers
        self.augmentation = augmentation
        self.ckpt_path = ckpt_path

    def skip_reason(self, network: EvaluatedNetwork) -> str | None:
        return needs_one_class_each(network)

    def layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        return () if self.augmentation else self._layers(network)

    def __call__(self, network: EvaluatedNetwork) -> list[Score]:
        layers = self._layers(network)
        train = network.images["train"]
        batches = self._rows(network) if self.augmentation is None else self._views(network)
        encoder = FrozenFeatures(network.backbone, layers)
        probes = LinearProbes(
            encoder.shapes(train.dataset[0]["image"]),
            train.num_classes,
            self.optimizer,
            self.scheduler,
            None if self.augmentation is None else encoder,
            digest_weights(network.backbone),
        )
        folder = network.output_dir / "checkpoints"
        trainer = network.make_trainer(
            max_epochs=self.max_epochs,
            callbacks=[
                Progress(),
                ModelCheckpoint(folder, "linear", save_top_k=1, enable_version_counter=False),
            ],
            enable_checkpointing=True,
            enable_progress_bar=True,  # `Progress`; without a terminal it prints a line per epoch
            limit_val_batches=0,
        )
        with warnings.catch_warnings():
            # Intended for the encoder; in any other training the warning would matter.
            warnings.filterwarnings("ignore", r"Found .* module\(s\) in eval mode")
            trainer.fit(probes, batches, ckpt_path=self.ckpt_path, weights_only=True)
        (results,) = network.make_trainer().validate(probes, batches, verbose=False)
        return [
            Score(self.name, layer, metric, results[f"linear/{layer}/{metric}"])
            for metric in ("top1", "top5")
            for layer in layers
            if f"linear/{layer}/{metric}" in results
        ]

    def _layers(self, network: EvaluatedNetwork) -> tuple[str, ...]:
        return tuple(self.chosen or network.all_layers)

    def _rows(self, network: EvaluatedNetwork) -> Batches:
        layers = self._layers(network)
        train, val = (
            FeatureRows(
                {layer: network.features(layer, split) for layer in layers},
                network.images[split].classes,
            )
            for split in ("train", "val")
        )
        return Batches(train, val, self.batch_size, seed=network.seed)

    def _views(self, network: EvaluatedNetwork) -> Batches:
        train, val = network.images["train"], network.images["val"]
        assert self.augmentation is not None
        views = IndexedDataset(train.source, self.augmentation, network.seed)
        return Batches(
            Labelled(views, train.classes),
            Labelled(val.dataset, val.classes),
            self.batch_size,
            network.num_workers(train.source),
            network.seed,
        )


def _check(checkpoint: Path) -> None:
    """Refuse a file that Lightning could not read, before the features are extracted."""
    option = "protocol.linear.ckpt_path"
    expected = "expected linear.ckpt of an interrupted evaluation"
    if not checkpoint.is_file():
        raise ValueError(f"{option}={checkpoint} is not a file; {expected}")
    content = read_checkpoint(checkpoint, option=None)
    complete = content.keys() >= CHECKPOINT_KEYS
    if not complete or not isinstance(content["state_dict"], dict):
        raise ValueError(f"{option}={checkpoint} is not a checkpoint of linear probes; {expected}")
