"""A real training in miniature: random images, a linear backbone, one CPU."""

from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from odc_lightning.models import Backbone, Head, LinearHead, NonLinearNeck
from odc_lightning.module import ODCModule
from odc_lightning.utils.distributed import shard


class TinyImages(Dataset[dict[str, Any]]):
    """N random images of 3 x 2 x 2, each with its index; with several views (V, 3, 2, 2)."""

    def __init__(self, num_samples: int, seed: int = 0, num_views: int = 1) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randn(num_samples, 3, 2, 2, generator=generator)
        self.num_views = num_views
        self.shifts = torch.randn(num_samples, num_views, 3, 1, 1, generator=generator)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self.num_views == 1:
            return {"image": self.images[index], "index": index}
        return {"image": self.images[index] + self.shifts[index], "index": index}


class TinyData(pl.LightningDataModule):
    """Batches of given indices, or a seeded shuffle."""

    def __init__(self, num_samples: int, batches: list[list[int]] | int) -> None:
        super().__init__()
        self.images = self.views = TinyImages(num_samples)
        self.batches = batches
        self.num_samples = num_samples

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        if isinstance(self.batches, int):
            generator = torch.Generator().manual_seed(1)
            return DataLoader(self.views, self.batches, shuffle=True, generator=generator)
        return DataLoader(self.views, batch_sampler=self.batches, generator=torch.Generator())

    def extraction_dataloader(
        self, split: str, rank: int = 0, world_size: int = 1
    ) -> DataLoader[dict[str, Any]]:
        rows = range(self.num_samples)[shard(self.num_samples, rank, world_size)]
        subset = torch.utils.data.Subset(self.images, list(rows))
        return DataLoader(subset, 16, generator=torch.Generator())


class TinyViews(TinyData):
    """The same with several views of each image in a training batch."""

    def __init__(self, num_samples: int, batches: list[list[int]] | int, num_views: int) -> None:
        super().__init__(num_samples, batches)
        self.views = TinyImages(num_samples, num_views=num_views)
        self.num_views = num_views


class TinyBackbone(Backbone):
    """One linear layer on the flattened image."""

    name = "tiny"
    num_features = 12
    map_channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, 12)
        self.stages = {"conv1": "linear"}

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))

    def maps(self, images: Tensor) -> Tensor:
        return self(images).view(-1, 3, 2, 2)


def tiny_module(
    num_clusters: int,
    dim: int = 16,
    dropout: float = 0.5,
    lr: float = 0.1,
    head: Callable[..., Head] = LinearHead,
) -> ODCModule:
    """An ODCModule of a few hundred parameters, the same at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ODCModule(
            TinyBackbone(),
            lambda in_features: NonLinearNeck(in_features, 32, dim, dropout),
            head,
            num_clusters,
            lambda groups: torch.optim.SGD(groups, lr=lr, momentum=0.9),
            head_optimizer={"momentum": 0.0},
        )


def tiny_trainer(callbacks: list[pl.Callback], **settings: Any) -> pl.Trainer:
    """A quiet Trainer on the CPU."""
    defaults: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    }
    return pl.Trainer(callbacks=callbacks, **{**defaults, **settings})
