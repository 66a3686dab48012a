"""Colorization in a real training: gray in, colours out, refused where there are none."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision.transforms import v2

from conftest import Compose
from helpers.pretext_runs import last_metrics
from odc_lightning.callbacks import Colorization
from odc_lightning.callbacks.baselines.colorization import colour_scale
from odc_lightning.pretext import gamut_bins, soft_encode, srgb_to_lab
from odc_lightning.train import train

PHOTOS = (
    "experiment=colorization_photos",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "data.val.stride=32",
    "callbacks.label_scores.knn=false",
)
SMALL = (
    *PHOTOS,
    "data.subset={num_images: 128}",
    "data.batch_size=32",
    "model.backbone.width=4",
)


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def test_the_network_sees_gray_and_learns_the_colours() -> None:
    """The image is scaled as before; the target is that of the mean colour of each quarter."""
    torch.manual_seed(0)
    colours = torch.rand(3, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    colours = colours.expand(3, 3, 16, 16) * torch.rand(3, 3, 1, 1)
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor(0.5)
    task = Colorization()
    task.bins, task.weights, task._size = gamut_bins(), torch.full((261,), 2.0), (2, 2)
    task._scales = {"train": (mean, std), "val": (mean, std)}
    seen, target = task.pose((colours - mean) / std, torch.arange(3), "train", 0)
    gray = seen * std + mean
    torch.testing.assert_close(gray, gray[:, :1].expand_as(gray))
    lab = srgb_to_lab(colours)
    torch.testing.assert_close(srgb_to_lab(gray)[:, 0], lab[:, 0], atol=1e-2, rtol=0)
    expected = 2 * soft_encode(lab[:, 1:, 4::8, 4::8], gamut_bins())[0]
    torch.testing.assert_close(target, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data=digits",), r"the training images are gray: colours of 128 of them are 0\.00 away"),
        (("algorithm.num_clusters=313",), r"set algorithm\.num_clusters=261"),
        (("model.dense=false",), r"set model\.dense=true"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    compose_config: Compose, overrides: tuple[str, ...], message: str
) -> None:
    settings = [s for s in SMALL if "val.stride" not in s]
    with pytest.raises(ValueError, match=message):
        train(compose_config(*settings, *overrides, "trainer.max_epochs=1"))


@pytest.mark.parametrize(
    "steps",
    [
        [v2.PILToTensor()],
        [v2.Normalize([0.5], [0.5]), v2.RandomHorizontalFlip()],
        [v2.Normalize([0.5], [0.5]), v2.Normalize([0.5], [0.5])],
    ],
)
def test_colours_that_cannot_be_got_back(steps: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"data\.train_transform has the steps .*Normalize as the"):
        colour_scale(v2.Compose(steps), "train_transform", torch.device("cpu"))


def test_a_run_is_continued_with_the_weights_it_began_with(
    compose_config: Compose, tmp_path: Path
) -> None:
    """And accumulates gradients as in one go."""
    settings = (*SMALL, "trainer.accumulate_grad_batches=2")
    train(compose_config(*settings, "trainer.max_epochs=2", run="straight"))
    train(compose_config(*settings, "trainer.max_epochs=1", run="first"))
    stopped = tmp_path / "first" / "checkpoints" / "last.ckpt"
    saved = torch.load(stopped, weights_only=True)["callbacks"][Colorization().state_key]
    assert saved["weights"].shape == (261,)
    train(compose_config(*settings, "trainer.max_epochs=2", f"ckpt_path={stopped}", run="second"))
    straight, second = checkpoint(tmp_path / "straight"), checkpoint(tmp_path / "second")
    for name, value in straight["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name
    kept = second["callbacks"][Colorization().state_key]
    assert torch.equal(kept["weights"], saved["weights"])
    assert kept["chance"] == saved["chance"]


@pytest.mark.slow
@pytest.mark.renders
def test_it_beats_chance_on_photographs(
    compose_config: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary: Any = train(
        compose_config(
            *PHOTOS,
            "data.subset={num_images: 1500}",
            "data.batch_size=64",
            "model.backbone.width=12",
            "trainer.max_epochs=4",
        )
    )
    assert summary["train_loss"] < 0.8 * summary["chance_loss"]
    assert 2 < summary["chance_loss"] < 4
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    metrics = last_metrics(tmp_path / "run")
    assert metrics["eval/pretext_loss"] < 0.8 * summary["chance_loss"]
    assert "eval/pretext_accuracy" not in metrics
    assert "train/accuracy" not in metrics
    out = capsys.readouterr().out
    assert "1,500 images in 261 colours" in out
    assert f"(chance: {summary['chance_loss']:.2f})" in out


def test_the_task_is_the_same_in_half_precision(
    compose_config: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[torch.Tensor]] = {}
    pose = Colorization.pose

    def spy(self: Colorization, *arguments: Any, **named: Any) -> tuple[torch.Tensor, torch.Tensor]:
        posed = pose(self, *arguments, **named)
        seen.setdefault(precision, []).extend(part.clone() for part in posed)
        return posed

    monkeypatch.setattr(Colorization, "pose", spy)
    for precision in ("32-true", "bf16-mixed"):
        train(
            compose_config(
                *SMALL, "trainer.max_epochs=1", f"trainer.precision={precision}", run=precision
            )
        )
    assert len(seen["32-true"]) == len(seen["bf16-mixed"]) > 8
    assert all(torch.equal(*pair) for pair in zip(*seen.values(), strict=True))
