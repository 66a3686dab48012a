"""Puzzles in a real training: the same whatever the ranks, and solved better than by chance."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from conftest import Compose
from helpers.pretext_runs import DIGITS, last_metrics
from helpers.tiny import tiny_module
from odc_lightning.callbacks import Jigsaw
from odc_lightning.pretext import cut_tiles, normalize_tiles
from odc_lightning.train import train


def a_jigsaw(num_images: int = 20, num_permutations: int = 7, seed: int = 0) -> Jigsaw:
    """Set up as for a training on the CPU."""
    data = SimpleNamespace(train_dataset=range(num_images), val_dataset=range(num_images))
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer: Any = SimpleNamespace(datamodule=data, strategy=strategy)
    jigsaw = Jigsaw(seed)
    module: pl.LightningModule = tiny_module(num_permutations)
    jigsaw.setup(trainer, module, "fit")
    return jigsaw


def test_a_puzzle_depends_on_seed_epoch_split_and_index_alone() -> None:
    torch.manual_seed(0)
    images, rows = torch.rand(20, 3, 48, 48), torch.arange(20)
    tiles, target = a_jigsaw().pose(images, rows, "train", epoch=3)
    assert tiles.shape == (20, 9, 3, 12, 12)
    # Another rank's share, after a restart, in another order.
    share = torch.tensor([17, 4, 4])
    again = a_jigsaw().pose(images[share], share, "train", epoch=3)
    assert torch.equal(again[0], tiles[share])
    assert torch.equal(again[1], target[share])
    jigsaw = a_jigsaw()
    for other in (("train", 4), ("val", 3)):
        assert not torch.equal(jigsaw.pose(images, rows, *other)[1], target)
    assert torch.equal(jigsaw.pose(images, rows, "train", 3)[1], target)
    assert not torch.equal(a_jigsaw(seed=1).pose(images, rows, "train", 3)[1], target)


def test_the_target_is_the_permutation_that_undoes_the_shuffle() -> None:
    """Images whose tiles have the same pattern all over show which cell a tile is from."""
    rows = torch.arange(20)
    cells = torch.arange(9).view(3, 3).repeat_interleave(16, 0).repeat_interleave(16, 1)
    pattern = (torch.arange(48) % 2).float() * (1 + cells)  # cell k has columns of 0 and k + 1
    jigsaw = a_jigsaw()
    seen: list[torch.Tensor] = []

    def keep(tiles: torch.Tensor) -> torch.Tensor:
        seen.append(tiles)
        return tiles

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("odc_lightning.callbacks.baselines.jigsaw.normalize_tiles", keep)
        tiles, target = jigsaw.pose(pattern.expand(20, 3, 48, 48), rows, "train", 0)
    assert seen[0].shape == tiles.shape
    came_from = tiles.amax((2, 3, 4)).long() - 1
    assert torch.equal(came_from, jigsaw.permutations[target])


def test_places_of_tiles_reach_both_ends_of_their_cells() -> None:
    jigsaw = a_jigsaw(num_images=200)
    _, offsets = jigsaw._draws("train", 0, 4, torch.device("cpu"))
    assert offsets.shape == (200, 9, 2)
    assert (int(offsets.min()), int(offsets.max())) == (0, 4)
    counts = torch.bincount(jigsaw._draws("train", 0, 4, torch.device("cpu"))[0], minlength=7)
    assert counts.min() > 10


def test_tiles_are_normal() -> None:
    torch.manual_seed(0)
    images, rows = torch.rand(20, 3, 48, 48), torch.arange(20)
    jigsaw = a_jigsaw()
    tiles, target = jigsaw.pose(images, rows, "train", 0)
    _, offsets = jigsaw._draws("train", 0, 4, torch.device("cpu"))
    expected = normalize_tiles(cut_tiles(images, offsets.long()))
    for b in rows.tolist():
        assert torch.equal(tiles[b], expected[b][jigsaw.permutations[target[b]]])


@pytest.mark.slow
@pytest.mark.renders
def test_it_beats_chance_on_digits(
    compose_config: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 24 permutations it finds the right one for most validation digits."""
    summary: Any = train(
        compose_config(
            "experiment=jigsaw_fashion_mnist",
            *DIGITS,
            "algorithm.num_clusters=24",
            "trainer.max_epochs=3",
            "data.batch_size=32",
            "model.backbone.width=12",
            "callbacks.label_scores.knn=false",
        )
    )
    metrics = last_metrics(tmp_path / "run")
    assert metrics["eval/pretext_accuracy"] > 0.5
    assert metrics["eval/pretext_loss"] < 2.0
    assert (summary["targets"], summary["num_clusters"]) == ("permutations", 24)
    out = capsys.readouterr().out
    assert "1,437 images in 24 permutations" in out
    assert "(chance, ln C: 3.18)" in out
