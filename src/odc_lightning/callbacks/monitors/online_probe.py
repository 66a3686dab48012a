"""Online linear probe: a classifier trained on the features during training."""

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import SGD
from torch.utils.hooks import RemovableHandle

from odc_lightning.callbacks.monitors.label_scores import is_due, labels_of, pooled_features
from odc_lightning.features.extraction import evaluating
from odc_lightning.models.linear_probe import LinearProbe
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import broadcast, sum_over_ranks


class OnlineProbe(pl.Callback):
    """Train a `LinearProbe` on the features of each step and log ``eval/online_probe_top1``.

    The probe learns the true labels from the pooled features that the backbone computes for the
    step, detached from the graph. No gradient reaches the network and nothing is drawn at random,
    so the network is trained as without the probe. Every n epochs the probe classifies the labelled
    images of the validation split. It is always in fp32. With gradient accumulation it takes one
    step per micro-batch.

    Images without a label affect only the probe's batch statistics. With several ranks the gradient
    is averaged over the labelled samples of all ranks, so the probes stay equal. Batch statistics
    are per rank; before a score, the running statistics of rank 0 are copied to all ranks.

    Attributes:
        probe: the classifier, created in ``setup``.
        last: latest score.
    """

    probe: LinearProbe
    optimizer: SGD
    labels: Tensor  # (N,) classes of the training images, -1 if unknown, on the module's device
    truth: Tensor  # (M,) classes of the validation images, -1 if unknown, on the CPU

    def __init__(
        self,
        lr: float = 0.03,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        every_n_epochs: int = 1,
    ) -> None:
        """Set the options of the probe's SGD, and how often to score.

        Args:
            lr: learning rate, constant over the run.
            momentum: momentum of SGD.
            weight_decay: weight decay of SGD.
            every_n_epochs: interval in epochs; the last epoch is always scored.

        Raises:
            ValueError: if ``every_n_epochs`` is less than 1.
        """
        if every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1, got {every_n_epochs}")
        self.settings: dict[str, Any] = {
            "lr": lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
        }
        self.every_n_epochs = every_n_epochs
        self.last: dict[str, float] = {}
        self._hook: RemovableHandle | None = None
        self._in_step = False
        self._features: Tensor | None = None  # (b, num_features) of this step

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Create the probe, with one output per class.

        Raises:
            ValueError: if no training image or no validation image has a label, or the network
                does not compute pooled features in training.
        """
        if stage != "fit":
            return
        if ODCModule.of(pl_module).dense:
            raise ValueError(
                "the online probe reads pooled features, and this algorithm trains on maps "
                "(model.dense=true): remove the probe (callbacks=default)"
            )
        labels, truth = labels_of(trainer, "train"), labels_of(trainer, "val")
        if labels is None or truth is None:
            split, key = ("training", "train") if labels is None else ("validation", "val")
            raise ValueError(
                f"the online probe needs labels, and no {split} image has one: choose labelled "
                f"data (config key data.{key}), or remove the probe (callbacks=default)"
            )
        device = trainer.strategy.root_device
        width = ODCModule.of(pl_module).backbone.num_features
        self.labels, self.truth = labels.to(device), truth
        self.probe = LinearProbe(width, int(labels.max()) + 1).to(device, torch.float32)
        self.optimizer = SGD(self.probe.parameters(), **self.settings)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Register a hook that stores the backbone's features."""
        self._remove_hook()
        self._hook = ODCModule.of(pl_module).backbone.register_forward_hook(self._keep)

    def on_train_batch_start(self, *_: Any) -> None:
        """Store the backbone's features from here on: they belong to the step."""
        self._in_step = True

    def on_before_backward(self, *_: Any) -> None:
        """Store no further features: later ones do not belong to the step."""
        self._in_step = False

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Train the probe for one step."""
        features, self._features = self._features, None
        # A batch of one sample has no batch statistics. Only the last batch can have one, and it
        # does so on all ranks.
        if features is not None and len(features) > 1:
            # Each view of an image is a row, with the label of the image.
            labels = self.labels[batch["index"]]
            self._step(features, labels.repeat_interleave(len(features) // len(labels)))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score if the epoch is due."""
        if is_due(trainer, self.every_n_epochs):
            self.last = {"eval/online_probe_top1": self._score(trainer, pl_module)}
            pl_module.log_dict(self.last)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Remove the hook from the backbone."""
        self._remove_hook()

    def state_dict(self) -> dict[str, Any]:
        """Return the states of probe and optimiser, and the latest score."""
        return {
            "probe": dict(self.probe.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "last": dict(self.last),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore probe, optimiser and score; `setup` has created the probe."""
        self.probe.load_state_dict(state_dict["probe"])
        self.optimizer.load_state_dict(state_dict["optimizer"])
        for group in self.optimizer.param_groups:  # a resumed run may have other settings
            group.update(self.settings)
        self.last = state_dict["last"]

    def _keep(self, backbone: nn.Module, inputs: Any, features: Tensor) -> None:
        if self._in_step:
            # A copy, since a neck may change them in place.
            self._features = features.detach().to(torch.float32, copy=True)

    def _remove_hook(self) -> None:
        if self._hook is not None:
            self._hook.remove()
        self._hook, self._features, self._in_step = None, None, False

    def _step(self, features: Tensor, labels: Tensor) -> None:
        """Take an SGD step on the mean loss over the labelled samples of all ranks."""
        parameters = list(self.probe.parameters())
        with torch.enable_grad():
            logits = self.probe.train()(features)
            loss = cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
        gradients = torch.autograd.grad(loss, parameters)
        num_labelled = (labels >= 0).sum(dtype=torch.float32).view(1)
        total = sum_over_ranks(torch.cat([*(g.flatten() for g in gradients), num_labelled]))
        mean = total[:-1] / total[-1].clamp(min=1)
        sizes = [parameter.numel() for parameter in parameters]
        for parameter, gradient in zip(parameters, mean.split(sizes), strict=True):
            parameter.grad = gradient.view_as(parameter)
        self.optimizer.step()

    def _score(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> float:
        for buffer in self.probe.buffers():
            broadcast(buffer)
        features = pooled_features(trainer, pl_module, "val", "Online probe: features")
        with evaluating(self.probe):
            predictions = [self.probe(rows).argmax(dim=1) for rows in features.split(4096)]
        correct = torch.cat(predictions).cpu() == self.truth
        return correct[self.truth >= 0].float().mean().item()
