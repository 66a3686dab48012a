"""The network: a plain classifier of pseudo-labels, which never sees where they come from."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from odc_lightning.models import Backbone, Head
from odc_lightning.utils.seeds import sample_seed


class ODCModule(pl.LightningModule):
    """Backbone, neck and head (Sec. 3.1, Fig. 2).

    A training batch is ``{"image": (B, 3, H, W), "index": (B,)}``, or with V views an image
    (B, V, 3, H, W). Callbacks add ``"target"``, the pseudo-labels: (B,) int64 or what else the head
    learns, an entry a row of features; or a function that gives it from the step's features, (rows,
    D) without gradient. They may add ``"weight"`` (B,), the weight of each row's
    loss, of mean one over the batch of all ranks.
    """

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
        seed: int = 0,
        compile: bool = False,
    ) -> None:
        """Build the network.

        Args:
            backbone: images to (B, ``backbone.num_features``).
            neck: called with ``in_features``; gives a module with ``out_features`` (D).
            head: called with ``in_features`` and ``num_clusters``; gives a `Head`.
            num_clusters: C.
            optimizer: called with parameter groups.
            scheduler: called with the optimiser; stepped each epoch.
            head_optimizer: settings of the head's parameter group that differ, such as
                ``{"momentum": 0}``.
            dense: neck and head read the backbone's last feature map, not its pooled features.
            seed: of dropout, and whatever else draws in a step.
            compile: let `torch.compile` make backbone and neck faster, at their first batch.
        """
        super().__init__()
        # Channels last is the faster layout for convolutions on most devices.
        self.backbone = backbone.to(memory_format=torch.channels_last)
        self.neck = neck(in_features=backbone.map_channels if dense else backbone.num_features)
        self.head: Head = head(in_features=self.neck.out_features, num_clusters=num_clusters)
        self.dense = dense
        self.seed = seed
        self.compile_network = compile
        for name in backbone.after_maps if dense else ():
            # DDP waits for the gradient of whatever is to be learned.
            backbone.get_submodule(name).requires_grad_(False)
        self.num_clusters = num_clusters
        self.dim: int = self.neck.out_features  # type: ignore[assignment]
        self._optimizer = optimizer
        self._scheduler = scheduler
        self._head_optimizer = dict(head_optimizer or {})

    @staticmethod
    def of(module: pl.LightningModule) -> "ODCModule":
        """The module itself, if it is one; a ValueError otherwise."""
        if not isinstance(module, ODCModule):
            raise ValueError(f"expected an ODCModule, got a {type(module).__name__}")
        return module

    def forward(self, images: Tensor) -> Tensor:
        """Pooled features of the backbone (B, ``backbone.num_features``), for downstream use."""
        return self.backbone(images)

    def embed(self, images: Tensor) -> Tensor:
        """Compact features (B, D) of backbone and neck, which are clustered.

        Of V views an image (B, V, 3, H, W) it gives (B V, D): row ``b V + v`` is view v of image b.
        With ``dense`` they are maps (B, D, h, w).
        """
        views = images.flatten(0, 1) if images.ndim == 5 else images
        views = views.contiguous(memory_format=torch.channels_last)
        return self.neck(self.backbone.maps(views) if self.dense else self.backbone(views))

    def setup(self, stage: str) -> None:
        """Compile what is to be compiled, in each process; names of weights stay as they are."""
        if stage == "fit" and self.compile_network:
            self.backbone.compile()
            self.neck.compile()

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Make what the step draws a function of (seed, batch, rank), so that no restart shows."""
        drawn = sample_seed(self.seed, self.trainer.fit_loop.total_batch_idx, self.global_rank)
        torch.manual_seed(drawn)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Tensor]:
        """Eq. 1, the head's loss with the pseudo-labels; the features go out for the memory."""
        if "target" not in batch:
            raise ValueError(
                "the batch has no pseudo-labels under 'target': add the callback SamplesMemory "
                "(config key algorithm.samples_memory), or that of another algorithm"
            )
        features = self.embed(batch["image"])
        target = batch["target"]
        if callable(target):
            target = target(features.detach())
        if len(features) != len(target):
            raise ValueError(
                f"{len(features)} rows of features (images of shape {tuple(batch['image'].shape)}) "
                f"and {len(target)} pseudo-labels; leave data.num_views to the algorithm"
            )
        losses = self.head.losses(features, target)
        if "weight" in batch:
            losses = losses * batch["weight"]
        loss = losses.mean()
        # Not with prog_bar: Lightning would read the number after each step, and the host wait.
        self.log("train/loss", loss, batch_size=len(batch["image"]))
        return {"loss": loss, "features": features.detach()}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimiser; the head has its own parameter group."""
        body = [*self.backbone.parameters(), *self.neck.parameters()]
        head = [parameter for parameter in self.head.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [{"params": body}]
        if head:  # prototypes that follow the centroids are not learned
            groups.append({"params": head, **self._head_optimizer})
        optimizer = self._optimizer(groups)
        if self._scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._scheduler(optimizer)}
