"""Views among those of other images, against a slow version and lightly's."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss
from torch.nn.functional import normalize

from odc_lightning.models import PrototypeHead
from odc_lightning.models.contrast import contrast_losses

TEMPERATURE = 0.3


def slow(features: torch.Tensor, num_views: int) -> list[float]:
    """A loop over rows, other rows and other views."""
    unit = normalize(features, dim=1).tolist()
    cosine = [[sum(a * b for a, b in zip(x, y, strict=True)) for y in unit] for x in unit]
    losses = []
    for row in range(len(unit)):
        others = [other for other in range(len(unit)) if other != row]
        total = sum(math.exp(cosine[row][other] / TEMPERATURE) for other in others)
        views = [other for other in others if other // num_views == row // num_views]
        each = [-math.log(math.exp(cosine[row][view] / TEMPERATURE) / total) for view in views]
        losses.append(sum(each) / len(each))
    return losses


@pytest.mark.parametrize("num_views", [2, 3])
def test_against_loops(num_views: int) -> None:
    torch.manual_seed(0)
    features = torch.randn(5 * num_views, 7)
    found = contrast_losses(features, num_views, TEMPERATURE)
    torch.testing.assert_close(found, torch.tensor(slow(features, num_views)))


def test_against_lightly() -> None:
    torch.manual_seed(0)
    features = torch.randn(16, 7, requires_grad=True)
    other = features.detach().clone().requires_grad_()
    loss = contrast_losses(features, 2, TEMPERATURE).mean()
    theirs = NTXentLoss(TEMPERATURE)(other[::2], other[1::2])
    torch.testing.assert_close(loss, theirs)
    loss.backward()
    theirs.backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad, other.grad)


def test_the_head_mixes_two_tasks() -> None:
    torch.manual_seed(0)
    alone = PrototypeHead(4, num_clusters=5, num_heads=1, temperature=TEMPERATURE)
    mixed = PrototypeHead(
        4, num_clusters=5, num_heads=1, temperature=TEMPERATURE, contrast=0.25, num_views=2
    )
    for head in (alone, mixed):
        head.prototypes.copy_(normalize(torch.randn(1, 5, 4), dim=2))
    mixed.prototypes.copy_(alone.prototypes)
    features, labels = torch.randn(6, 4), torch.tensor([0, 0, 4, 4, 1, 1])
    expected = 0.75 * alone.losses(features, labels)
    expected += 0.25 * contrast_losses(features, 2, TEMPERATURE)
    torch.testing.assert_close(mixed.losses(features, labels), expected)
    assert alone.chance(6) == math.log(5)
    assert mixed.chance(6) == 0.75 * math.log(5) + 0.25 * math.log(5)  # 5 clusters, 5 other rows
    # What knows nothing loses just that.
    same = torch.ones(6, 4)
    mixed.prototypes.zero_()
    torch.testing.assert_close(mixed.losses(same, labels), torch.full((6,), mixed.chance(6)))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"model\.head\.contrast=1; expected a share"):
        PrototypeHead(4, 5, contrast=1, num_views=2)
    with pytest.raises(ValueError, match=r"contrast=0\.5 compares views.*set data\.num_views=2"):
        PrototypeHead(4, 5, contrast=0.5)
