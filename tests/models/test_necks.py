"""The neck against the paper's formula, and what the authors' code says about its details."""

import math

import pytest
import torch
from torch import nn

from odc_lightning.models import CenteringNeck, JigsawNeck, NonLinearNeck, ProjectionNeck


def test_evaluation_is_fc_bn_relu_fc_relu() -> None:
    neck = NonLinearNeck(6, hidden_features=5, out_features=4).eval()
    mean, variance = neck.bn0.running_mean, neck.bn0.running_var
    assert mean is not None
    assert variance is not None
    mean.uniform_(-1, 1)
    variance.uniform_(0.5, 1.5)
    x = torch.randn(3, 6)
    hidden = (x @ neck.fc0.weight.T + neck.fc0.bias - mean) / torch.sqrt(variance + 1e-5)
    expected = (hidden.clamp(min=0) @ neck.fc1.weight.T + neck.fc1.bias).clamp(min=0)
    torch.testing.assert_close(neck(x), expected)


def test_training_normalises_over_the_batch_and_moves_the_statistics_by_a_thousandth() -> None:
    neck = NonLinearNeck(6, hidden_features=5, out_features=4, dropout=0.0)
    x = torch.randn(32, 6)
    linear = x @ neck.fc0.weight.T + neck.fc0.bias
    normal = (linear - linear.mean(0)) / torch.sqrt(linear.var(0, unbiased=False) + 1e-5)
    expected = (normal.clamp(min=0) @ neck.fc1.weight.T + neck.fc1.bias).clamp(min=0)
    torch.testing.assert_close(neck(x), expected)
    torch.testing.assert_close(neck.bn0.running_mean, 0.001 * linear.mean(0))


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    neck = NonLinearNeck(6)
    x = torch.randn(8, 6)
    assert not torch.equal(neck(x), neck(x))
    neck.eval()
    assert torch.equal(neck(x), neck(x))


def test_widths_names_and_initialisation() -> None:
    torch.manual_seed(0)
    neck = NonLinearNeck(2048)
    assert (neck.in_features, neck.out_features) == (2048, 256)
    assert [name for name, _ in neck.named_parameters()] == [
        "fc0.weight",
        "fc0.bias",
        "fc1.weight",
        "fc1.bias",
    ]
    for linear, fan_in in ((neck.fc0, 2048), (neck.fc1, 512)):
        assert isinstance(linear, nn.Linear)
        assert linear.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.03)
        assert linear.bias.count_nonzero() == 0


def test_the_projection_is_fc_bn_relu_fc_to_unit_length() -> None:
    neck = ProjectionNeck(6, hidden_features=5, out_features=4)
    assert (neck.in_features, neck.out_features) == (6, 4)
    x = torch.randn(32, 6)
    linear = x @ neck.fc0.weight.T + neck.fc0.bias
    normal = (linear - linear.mean(0)) / torch.sqrt(linear.var(0, unbiased=False) + 1e-5)
    projected = normal.clamp(min=0) @ neck.fc1.weight.T + neck.fc1.bias
    torch.testing.assert_close(neck(x), projected / projected.norm(dim=1, keepdim=True))
    assert ProjectionNeck(2048).fc0.weight.shape == (2048, 2048)
    assert ProjectionNeck(2048).out_features == 128


def test_the_puzzles_neck_joins_the_nine_tiles_of_each_image() -> None:
    neck = JigsawNeck(6, tile_features=5).eval()
    assert (neck.in_features, neck.out_features) == (6, 45)
    tiles = torch.randn(2, 9, 6)
    out = neck(tiles.flatten(0, 1))
    assert out.shape == (2, 45)
    for image in range(2):
        for tile in range(9):
            alone = neck.tile(tiles[image, tile].unsqueeze(0))[0]
            torch.testing.assert_close(out[image, 5 * tile : 5 * tile + 5], alone)


def test_centering_subtracts_the_mean_that_it_was_given() -> None:
    neck = CenteringNeck(4)
    neck.mean.copy_(torch.arange(4.0))
    x = torch.randn(3, 4)
    assert torch.equal(neck(x), x - torch.arange(4.0))
    assert (neck.out_features, list(neck.parameters())) == (4, [])
