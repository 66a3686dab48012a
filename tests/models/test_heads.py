"""The heads: shapes, initialisation, drawing one anew, losses by hand."""

import math

import pytest
import torch
from torch.nn.functional import normalize

from odc_lightning.models import ColorizationHead, LinearHead, PrototypeHead


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


def test_the_prototypes_loss_by_hand() -> None:
    head = PrototypeHead(4, num_clusters=5, num_heads=2, temperature=0.2)
    head.prototypes.copy_(normalize(torch.randn(2, 5, 4), dim=2))
    features, target = torch.randn(3, 4), torch.tensor([[0, 4], [1, 1], [3, 2]])
    assert head(features).shape == (3, 2, 5)
    losses = head.losses(features, target)
    for i in range(3):
        expected = 0.0
        for h in range(2):
            cosines = [float(features[i] @ p / features[i].norm()) for p in head.prototypes[h]]
            total = sum(math.exp(cosine / 0.2) for cosine in cosines)
            expected -= math.log(math.exp(cosines[int(target[i, h])] / 0.2) / total) / 2
        assert float(losses[i]) == pytest.approx(expected, rel=1e-5)


def test_soft_targets_are_weighted_labels_and_one_head_needs_no_axis() -> None:
    torch.manual_seed(0)
    head = PrototypeHead(4, num_clusters=5, num_heads=1)
    head.prototypes.copy_(normalize(torch.randn(1, 5, 4), dim=2))
    features, labels = torch.randn(3, 4), torch.tensor([0, 4, 1])
    hard = head.losses(features, labels)
    torch.testing.assert_close(hard, head.losses(features, labels[:, None]))
    torch.testing.assert_close(hard, head.losses(features, torch.eye(5)[labels]))
    each = torch.stack([head.losses(features, torch.full((3,), c)) for c in range(5)], dim=1)
    shares = torch.rand(3, 5)
    torch.testing.assert_close(head.losses(features, shares), (shares * each).sum(dim=1))
    two = PrototypeHead(4, num_clusters=5, num_heads=2)
    two.prototypes.copy_(head.prototypes.repeat(2, 1, 1))
    torch.testing.assert_close(
        two.losses(features, torch.eye(5)[labels][:, None].repeat(1, 2, 1)), hard
    )


def test_prototypes_are_not_learned_and_are_saved() -> None:
    head = PrototypeHead(4, num_clusters=5)
    assert not list(head.parameters())
    assert set(head.state_dict()) == {"prototypes"}
    features = torch.randn(3, 4, requires_grad=True)
    losses = head.losses(features, torch.zeros(3, 3, dtype=torch.int64))
    torch.testing.assert_close(losses, torch.full((3,), math.log(5)))  # none are written yet
    head.prototypes.copy_(torch.randn(3, 5, 4))
    head.losses(features, torch.zeros(3, 3, dtype=torch.int64)).sum().backward()
    assert features.grad is not None
    assert not head.prototypes.requires_grad


def test_heads_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.head\.num_heads=0"):
        PrototypeHead(4, 5, num_heads=0)
    with pytest.raises(ValueError, match=r"model\.head\.temperature=0"):
        PrototypeHead(4, 5, temperature=0)


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
