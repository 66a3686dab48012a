"""The head: shapes, initialisation, and drawing it anew."""

import pytest
import torch

from odc_lightning.models import ColorizationHead, LinearHead


def test_scores_and_initialisation() -> None:
    torch.manual_seed(0)
    head = LinearHead(256, num_clusters=1000)
    assert head.num_clusters == 1000
    features = torch.randn(3, 256)
    torch.testing.assert_close(head(features), features @ head.weight.T + head.bias)
    assert head(features).shape == (3, 1000)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert head.bias.count_nonzero() == 0


def test_reset_draws_new_weights_of_the_same_distribution() -> None:
    head = LinearHead(64, num_clusters=100)
    before = head.weight.detach().clone()
    with torch.no_grad():
        head.bias.fill_(1)
    head.reset_parameters()
    assert not torch.equal(head.weight, before)
    assert head.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert head.bias.count_nonzero() == 0


def test_colours_of_a_map_are_a_weighted_cross_entropy_a_place() -> None:
    torch.manual_seed(0)
    head = ColorizationHead(6, num_clusters=5)
    assert head.weight.std().item() < 0.03
    maps, target = torch.randn(2, 6, 3, 4), torch.rand(2, 5, 3, 4)
    losses = head.losses(maps, target).detach()
    for image in range(2):
        total = 0.0
        for y in range(3):
            for x in range(4):
                scores = head.weight.detach()[:, :, 0, 0] @ maps[image, :, y, x]
                total -= float((target[image, :, y, x] * scores.log_softmax(0)).sum())
        assert losses[image].item() == pytest.approx(total / 12, rel=1e-5)
