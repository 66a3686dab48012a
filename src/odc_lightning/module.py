"""The network: a classifier of pseudo-labels that does not know how they are computed."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from odc_lightning.models import Backbone, Head
from odc_lightning.utils.logged_steps import is_logged
from odc_lightning.utils.seeds import sample_seed, seed_step


class ODCModule(pl.LightningModule):
    """Backbone, neck and head (Sec. 3.1, Fig. 2).

    A training batch is ``{"image": (B, 3, H, W), "index": (B,)}``, or (B, V, 3, H, W) with V views
    per image. Callbacks add the following, where R is the number of rows of features (B, or B V):

    - ``"target"``: (R,) int64 pseudo-labels, or another target of the head with one entry per row.
      It may also be a function that computes the target from the step's features, (R, D) without
      gradient.
    - ``"weight"``: (R,), optional, the weight of each row's loss, of mean 1 over the batch of all
      ranks.

    Attributes:
        step_features: (R, D) without gradient, of the current training step, for callbacks that
            need them before the backward pass.
    """

    step_features: Tensor

    def __init__(
        self,
        backbone: Backbone,
        neck: Callable[..., nn.Module],
        head: Callable[..., Head],
        num_clusters: int,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler] | None = None,
        head_optimizer: Mapping[str, Any] | None = None,
        dense: bool = False,
        frozen_statistics: bool = False,
        seed: int = 0,
        compile: bool = False,
    ) -> None:
        """Build the network.

        Args:
            backbone: maps images to pooled features (B, ``backbone.num_features``).
            neck: called with ``in_features``; returns a module with ``out_features`` (D).
            head: called with ``in_features`` and ``num_clusters``; returns a `Head`.
            num_clusters: C.
            optimizer: called with the parameter groups.
            scheduler: called with the optimiser; stepped once per epoch.
            head_optimizer: optimiser settings that differ for the head, such as
                ``{"momentum": 0}``.
            dense: let neck and head read the backbone's last feature map instead of its pooled
                features.
            frozen_statistics: keep the running statistics of the backbone's batch normalisation,
                and use them in training too. Small batches of other images than those of the
                pretraining have other statistics, and would change the features at once.
            seed: seed of dropout and all other random numbers within a step.
            compile: compile backbone and neck with `torch.compile` at their first batch.
        """
        super().__init__()
        # Channels last is the faster layout for convolutions on most devices.
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.neck = neck(in_features=backbone.map_channels if dense else backbone.num_features)
        self.head: Head = head(in_features=self.neck.out_features, num_clusters=num_clusters)
        self.dense = dense
        self.frozen_statistics = frozen_statistics
        self.seed = seed
        self.compile_network = compile
        for name in backbone.after_maps if dense else ():
            # DDP waits for a gradient of every parameter that requires one.
            backbone.get_submodule(name).requires_grad_(False)
        self.num_clusters = num_clusters
        self.dim: int = self.neck.out_features  # type: ignore[assignment]
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._head_optimizer = dict(head_optimizer or {})
        self.train()  # Lightning keeps the modes that it finds

    @staticmethod
    def of(module: pl.LightningModule) -> "ODCModule":
        """Return the module itself, typed as an `ODCModule`.

        Raises:
            ValueError: if it is a module of another class.
        """
        if not isinstance(module, ODCModule):
            raise ValueError(f"expected an ODCModule, got a {type(module).__name__}")
        return module

    def forward(self, images: Tensor) -> Tensor:
        """Compute pooled features (B, ``backbone.num_features``), for downstream use."""
        return self.backbone(images)

    def embed(self, images: Tensor) -> Tensor:
        """Compute the compact features (B, D) of backbone and neck, which are clustered.

        For V views per image, (B, V, 3, H, W), they are (B V, D): row ``b V + v`` is view v of
        image b. With ``dense`` they are maps (B, D, h, w).
        """
        views = images.flatten(0, 1) if images.ndim == 5 else images
        views = views.contiguous(memory_format=torch.channels_last)
        return self.neck(self.backbone.maps(views) if self.dense else self.backbone(views))

    def setup(self, stage: str) -> None:
        """Compile backbone and neck if set, in each process; names of weights do not change."""
        if stage == "fit" and self.compile_network:
            self.backbone.compile()
            self.neck.compile()

    def train(self, mode: bool = True) -> "ODCModule":
        """Set the mode, in which frozen statistics stay those of evaluation."""
        super().train(mode)
        if self.frozen_statistics:
            for layer in self.backbone.modules():
                if isinstance(layer, _BatchNorm):
                    layer.eval()
        return self

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed the step by (seed, batch, rank), so that a resumed run draws the same numbers."""
        batch_number = self.trainer.fit_loop.total_batch_idx
        seed_step(sample_seed(self.seed, batch_number, self.global_rank), self.device)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Compute Eq. 1, the loss of the head with the pseudo-labels.

        Returns:
            The loss, and the features (R, D) without gradient for the samples memory.

        Raises:
            ValueError: if the batch has no target, or not one entry per row of features.
        """
        if "target" not in batch:
            raise ValueError(
                "the batch has no pseudo-labels under 'target': add the callback SamplesMemory "
                "(config key algorithm.samples_memory), or the callback of another algorithm"
            )
        features = self.embed(batch["image"])
        target = batch["target"]
        if callable(target):
            with torch.autocast(features.device.type, enabled=False):  # the memory is fp32
                target = target(features.detach())
        if len(features) != len(target):
            raise ValueError(
                f"got {len(features)} rows of features (images of shape "
                f"{tuple(batch['image'].shape)}) and {len(target)} pseudo-labels, expected equal "
                "numbers; do not set data.num_views, the algorithm sets it"
            )
        losses = self.head.losses(features, target)
        if "weight" in batch:
            losses = losses * batch["weight"]
        loss = losses.mean()
        if is_logged(self._trainer):
            # Without prog_bar: Lightning would read the loss, and the host would wait.
            self.log("train/loss", loss, batch_size=len(batch["image"]))
        self.step_features = features.detach()
        return {"loss": loss, "features": self.step_features}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build one optimiser, with a parameter group for the head, and its scheduler."""
        body = [*self.backbone.parameters(), *self.neck.parameters()]
        head = [parameter for parameter in self.head.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [{"params": body}]
        if head:  # empty if the prototypes are copies of the centroids
            groups.append({"params": head, **self._head_optimizer})
        optimizer = self._optimizer(groups)
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Let the optimiser and the schedule of a resumed run follow this run's settings.

        Lightning restores both from the checkpoint, with the settings of the run that saved it.
        Here these are replaced, in place, by the state in which a run with the new settings would
        be after the same number of epochs. The optimiser's buffers stay.

        Raises:
            ValueError: if the checkpoint is of another network.
        """
        self._check_shapes(checkpoint["state_dict"])
        built: Any = self.configure_optimizers()
        parts = built if isinstance(built, dict) else {"optimizer": built}
        if "lr_scheduler" in parts:
            epochs = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
            with warnings.catch_warnings():  # of a schedule that moves without its optimiser
                warnings.filterwarnings("ignore", category=UserWarning)
                for _ in range(epochs):
                    parts["lr_scheduler"].step()
            checkpoint["lr_schedulers"] = [parts["lr_scheduler"].state_dict()]
        (state,) = checkpoint["optimizer_states"]
        groups = zip(parts["optimizer"].param_groups, state["param_groups"], strict=True)
        state["param_groups"] = [{**new, "params": former["params"]} for new, former in groups]

    def _check_shapes(self, weights: Mapping[str, Tensor]) -> None:
        shapes = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        for name in sorted({*shapes, *weights}):
            given = tuple(weights[name].shape) if name in weights else None
            if given != shapes.get(name):
                raise ValueError(
                    f"the checkpoint's network does not match this run: {name} is "
                    f"{given or 'missing'}, expected {shapes.get(name) or 'none'}; resume with the "
                    "model, the neck, the head and algorithm.num_clusters of that run"
                )
