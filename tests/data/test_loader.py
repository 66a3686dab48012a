"""Stopped anywhere and taken up again, training sees the batches it would have seen."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning.callbacks import ModelCheckpoint
from torch import Tensor
from torchvision.transforms import v2

from odc_lightning.data import ArraySource, EpochSampler, IndexedDataset, digits, image_folder
from odc_lightning.data.loader import MOST_WORKERS, ResumableLoader, choose_num_workers

pytestmark = pytest.mark.filterwarnings("ignore:Be aware that when using `ckpt_path`")

NUM_BATCHES = 5
Seen = list[tuple[int, list[int], float]]  # epoch, indices, what augmentation made of them


def make_loader(num_workers: int) -> ResumableLoader:
    pixels = np.random.default_rng(0).integers(0, 256, (22, 8, 8, 3), dtype=np.uint8)
    transform = v2.Compose(
        [
            v2.RandomCrop(6),
            v2.ColorJitter(0.5),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    return ResumableLoader(
        IndexedDataset(ArraySource(pixels, "toy"), transform),
        batch_size=4,
        sampler=EpochSampler(22, seed=0, drop_last=True),
        drop_last=True,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),
    )


class Recorder(pl.LightningModule):
    """Learns nothing, but writes down what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.seen: Seen = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        self.seen.append(
            (self.current_epoch, batch["index"].tolist(), float(batch["image"].double().sum()))
        )
        return self.layer(torch.ones(1)).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(num_workers: int, ckpt_path: Path | None = None, **options: Any) -> Seen:
    recorder = Recorder()
    trainer = pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        enable_checkpointing="callbacks" in options,
        **options,
    )
    trainer.fit(recorder, make_loader(num_workers), ckpt_path=ckpt_path, weights_only=True)
    return recorder.seen


def test_lightning_moves_through_the_epochs() -> None:
    alone, two = fit(0, max_epochs=3), fit(2, max_epochs=3)
    assert alone == two
    assert [epoch for epoch, _, _ in alone] == [e for e in range(3) for _ in range(NUM_BATCHES)]
    orders = {
        tuple(i for e, indices, _ in alone if e == epoch for i in indices) for epoch in range(3)
    }
    assert len(orders) == 3


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("stop", [3, 5, 7, 10, 12])
def test_resumed_run_sees_the_rest(tmp_path: Path, num_workers: int, stop: int) -> None:
    """After batch 5 and 10 an epoch has just ended; the others lie in the middle of one."""
    save = ModelCheckpoint(tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
    straight = fit(num_workers, max_epochs=3, callbacks=[save])
    resumed = fit(num_workers, tmp_path / f"step={stop}.ckpt", max_epochs=3)
    assert resumed == straight[stop:]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_resume_after_an_epoch(tmp_path: Path, num_workers: int) -> None:
    save = ModelCheckpoint(
        tmp_path, every_n_epochs=1, save_top_k=-1, filename="{epoch}", save_on_train_epoch_end=True
    )
    straight = fit(num_workers, max_epochs=3, callbacks=[save])
    assert fit(num_workers, tmp_path / "epoch=1.ckpt", max_epochs=3) == straight[2 * NUM_BATCHES :]


def test_state_counts_the_batches_of_the_epoch() -> None:
    loader = make_loader(0)
    batches = iter(loader)
    next(batches), next(batches)
    assert loader.state_dict() == {"epoch": 0, "batches": 2}
    again = make_loader(0)
    again.load_state_dict(loader.state_dict())
    assert again.state_dict() == loader.state_dict()
    left = [batch["index"].tolist() for batch in again]
    assert left == [batch["index"].tolist() for batch in batches]
    assert again.state_dict() == {"epoch": 0, "batches": NUM_BATCHES}
    assert len(again) == NUM_BATCHES
    again.sampler.set_epoch(1)  # no batch of the new epoch was taken yet
    assert again.state_dict() == {"epoch": 0, "batches": NUM_BATCHES}


def test_choice_of_workers(tmp_path: Path) -> None:
    assert choose_num_workers(digits("train")) == 0
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert 1 <= choose_num_workers(image_folder(str(tmp_path))) <= MOST_WORKERS
    assert choose_num_workers(ArraySource(np.zeros((20_000, 2, 2), np.uint8), "toy")) >= 1
