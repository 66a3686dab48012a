"""SimCLR and SwAV: lightly's losses on the views as they come out of the network."""

import math

import pytest
import torch
from lightly.loss import NTXentLoss, SwaVLoss
from scripts.small_data.contrastive import ImageIndices, SimCLRHead, SwAVHead
from torch import Tensor, nn
from torch.nn.functional import normalize

from helpers.tiny import TinyData, TinyViews, tiny_module, tiny_trainer

IMAGES = torch.tensor([4, 4, 0, 0, 7, 7, 5, 5, 1, 1])


def rows(seed: int = 0) -> Tensor:
    """Features (10, 6) of two views of five images, not of unit length."""
    return torch.randn(10, 6, generator=torch.Generator().manual_seed(seed))


def nt_xent(features: Tensor, images: Tensor, temperature: float) -> float:
    """Chen et al., Eq. 1, a sum at a time."""
    features = normalize(features.double(), dim=1)
    total = 0.0
    for i in range(len(features)):
        others = [k for k in range(len(features)) if k != i]
        (partner,) = (k for k in others if images[k] == images[i])
        scores = {k: math.exp(float(features[i] @ features[k]) / temperature) for k in others}
        total -= math.log(scores[partner] / sum(scores.values()))
    return total / len(features)


def test_simclr_is_the_sum_in_its_paper() -> None:
    losses = SimCLRHead(6, 9).losses(rows(), IMAGES)
    assert losses.shape == (10,)
    expected = torch.full((10,), nt_xent(rows(), IMAGES, 0.2))
    torch.testing.assert_close(losses, expected)


def test_simclr_is_lightlys_loss_and_gradient() -> None:
    features, same = rows().requires_grad_(), rows().requires_grad_()
    SimCLRHead(6, 9, temperature=0.5).losses(features, IMAGES).mean().backward()
    NTXentLoss(0.5)(same[0::2], same[1::2]).backward()
    torch.testing.assert_close(features.grad, same.grad)


def test_swav_is_lightlys_loss_with_prototypes_of_unit_length() -> None:
    torch.manual_seed(0)
    head = SwAVHead(6, 4)
    (layer,) = head.prototypes.heads
    assert [name for name, _ in head.named_parameters()] == ["prototypes.heads.0.weight"]
    with torch.no_grad():
        layer.weight.mul_(3)
    weight = normalize(layer.weight.detach().clone(), dim=1).requires_grad_()
    losses = head.losses(rows(), IMAGES)
    losses.mean().backward()
    first, second = (normalize(view, dim=1) @ weight.T for view in (rows()[0::2], rows()[1::2]))
    expected = SwaVLoss(temperature=0.1, sinkhorn_epsilon=0.05)([first, second], [])
    expected.backward()
    torch.testing.assert_close(losses, expected.detach().expand(10))
    torch.testing.assert_close(layer.weight, weight)
    torch.testing.assert_close(layer.weight.grad, weight.grad)


def test_swav_takes_any_number_of_prototypes() -> None:
    assert SwAVHead(6)(rows()).shape == (10, 300)


@pytest.mark.parametrize("head", [SimCLRHead(6, 9), SwAVHead(6, 4)])
@pytest.mark.parametrize("images", [[1, 1, 2], [1, 2, 1, 2]])
def test_rows_must_be_in_pairs(head: SimCLRHead | SwAVHead, images: list[int]) -> None:
    with pytest.raises(ValueError, match="are not pairs of views of the same image"):
        head.losses(rows()[: len(images)], torch.tensor(images))


@pytest.mark.parametrize(
    ("head", "setting"),
    [(SimCLRHead, "temperature"), (SwAVHead, "temperature"), (SwAVHead, "epsilon")],
)
def test_refuses_what_it_would_divide_by(head: type[nn.Module], setting: str) -> None:
    with pytest.raises(ValueError, match=rf"model\.head\.{setting}=0; expected more than 0"):
        head(6, 4, **{setting: 0})


@pytest.mark.parametrize("head", [SimCLRHead, SwAVHead])
def test_trains_on_two_views(head: type[SimCLRHead] | type[SwAVHead]) -> None:
    module = tiny_module(7, dropout=0.0, head=head)
    before = [parameter.clone() for parameter in module.parameters()]
    tiny_trainer([ImageIndices()]).fit(module, datamodule=TinyViews(16, 4, num_views=2))
    assert not any(map(torch.equal, before, module.parameters()))


def test_refuses_a_single_view() -> None:
    with pytest.raises(ValueError, match=r"data\.num_views=1: SimCLR and SwAV compare two"):
        tiny_trainer([ImageIndices()]).fit(
            tiny_module(7, head=SimCLRHead), datamodule=TinyData(16, 4)
        )
