"""Draws of few labels, published lists, and what fine-tuning trains."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import MultiStepLR

from odc_lightning.data import FileSource
from odc_lightning.evaluation.fine_tuning import FineTuning, find_listed
from odc_lightning.models import ConvNet


def test_lists_name_files_in_any_folder() -> None:
    names = ["n01/a.png", "n01/b.png", "n02/a.png", "n02/my cat.png"]
    source = FileSource(Path(), names)
    assert find_listed(source, ["n02/a.png 7", "", "b.png"]).tolist() == [1, 2]
    assert find_listed(source, ["elsewhere/b.png 0", "my cat.png", "n01/a.png"]).tolist() == [
        0,
        1,
        3,
    ]
    with pytest.raises(ValueError, match=r"1 of 2 listed images are not in the data.*'c\.png'"):
        find_listed(source, ["c.png", "b.png"])
    with pytest.raises(ValueError, match=r"or match several images, for example 'a\.png'"):
        find_listed(source, ["a.png"])


def test_a_copy_is_trained_with_two_learning_rates() -> None:
    backbone = ConvNet(4).requires_grad_(False).eval()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    network = FineTuning(
        backbone,
        3,
        partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        partial(MultiStepLR, milestones=[1], gamma=0.2),
        head_lr_multiplier=100,
    )
    optimizers: Any = network.configure_optimizers()
    optimizer, scheduler = optimizers["optimizer"], optimizers["lr_scheduler"]
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 10]
    assert all(part.training for part in network.modules())  # as Lightning will find them
    logits = network(torch.randn(6, 3, 16, 16))
    torch.nn.functional.cross_entropy(logits, torch.arange(6) % 3).backward()
    optimizer.step()
    scheduler.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.02, 2])
    trained = network.backbone.state_dict()
    assert not torch.equal(trained["conv1.0.weight"], before["conv1.0.weight"])
    assert not torch.equal(trained["conv1.1.running_mean"], before["conv1.1.running_mean"])
    after = backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
