"""A backbone gets all of its weights from a file, or none of them."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from odc_lightning.checkpoints import backbone_weights, load_backbone
from odc_lightning.models import Backbone, ConvNet, ResNet


def network(width: int = 4) -> ConvNet:
    return ConvNet(width)


def saved(tmp_path: Path, content: Any) -> Path:
    torch.save(content, tmp_path / "weights.ckpt")
    return tmp_path / "weights.ckpt"


def state(backbone: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}": value.clone() for name, value in backbone.state_dict().items()}


def equal(a: Backbone, b: Backbone) -> bool:
    return all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"state_dict": {**weights("backbone."), "head.fc.weight": torch.ones(3)}},
        lambda weights: weights("backbone."),
        lambda weights: weights(""),
        lambda weights: {"state_dict": weights("")},
    ],
    ids=["a run's", "with prefix", "plain", "nested"],
)
def test_every_form_is_loaded_whole(tmp_path: Path, wrap: Any) -> None:
    trained, fresh = network(), network()
    trained.conv1[1].running_mean.fill_(3.0)  # type: ignore[operator]
    assert not equal(trained, fresh)
    load_backbone(fresh, saved(tmp_path, wrap(lambda prefix: state(trained, prefix))))
    assert equal(trained, fresh)


def test_everything_that_does_not_fit_is_named_and_nothing_loaded(tmp_path: Path) -> None:
    weights = state(network())
    del weights["conv2.1.running_var"]
    weights["fc.weight"] = torch.ones(10, 32)
    weights["conv1.0.weight"] = torch.ones(5, 3, 3, 3)
    fresh = network()
    before = state(fresh)
    with pytest.raises(ValueError) as refusal:  # noqa: PT011  # the message is looked at below
        load_backbone(fresh, saved(tmp_path, weights))
    for part in (
        "does not fit the backbone 'convnet', and nothing was loaded",
        "Missing in the file: conv2.1.running_var.",
        "Unknown to the backbone: fc.weight.",
        "Of another shape: conv1.0.weight (5, 3, 3, 3) instead of (4, 3, 3, 3).",
    ):
        assert part in str(refusal.value)
    assert all(torch.equal(value, fresh.state_dict()[name]) for name, value in before.items())


def test_another_network_altogether(tmp_path: Path) -> None:
    file = saved(tmp_path, state(network()))
    with pytest.raises(ValueError, match=r"Missing in the file: conv1\.weight, .* and 112 more"):
        load_backbone(ResNet("resnet18"), file)


def test_no_weights() -> None:
    with pytest.raises(ValueError, match=r"holds \['epoch'\] and no weights by name"):
        backbone_weights({"epoch": 3})
    with pytest.raises(ValueError, match="no weights by name"):
        backbone_weights({"state_dict": torch.ones(3)})
    with pytest.raises(ValueError, match="no weights by name"):
        backbone_weights({0: torch.ones(3)})  # type: ignore[dict-item]
