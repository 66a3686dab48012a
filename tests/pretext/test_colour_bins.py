"""Bins of the gamut, encoding, weights and the loss of chance, each against a slow version."""

import math

import torch

from odc_lightning.pretext import (
    constant_loss,
    gamut_bins,
    rebalancing_weights,
    soft_encode,
    srgb_to_lab,
    weighted_target,
)


def test_every_colour_has_its_cell() -> None:
    """Also those inside of the RGB cube, from whose faces the bins are made."""
    bins = gamut_bins()
    assert bins.shape == (261, 2)
    assert (bins % 10 == 0).all()
    known = {tuple(each) for each in bins.tolist()}
    assert len(known) == 261
    levels = torch.arange(0, 256, 15).double() / 255
    colours = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).flatten(2)
    cells = (srgb_to_lab(colours)[1:] / 10).round().mul(10).flatten(1).T
    assert {tuple(each) for each in cells.tolist()} <= known
    assert (0, 0) in known
    assert (100, 100) not in known


def test_soft_encoding_is_the_five_nearest_with_gaussian_weights() -> None:
    torch.manual_seed(0)
    bins = gamut_bins()
    ab = torch.randn(2, 2, 3, 4) * 30
    encoded, nearest = soft_encode(ab, bins)
    assert encoded.shape == (2, 261, 3, 4)
    torch.testing.assert_close(encoded.sum(1), torch.ones(2, 3, 4))
    for b, y, x in ((0, 0, 0), (1, 2, 3), (0, 1, 2)):
        squares = (bins - ab[b, :, y, x]).square().sum(1)
        five = squares.argsort()[:5]
        assert nearest[b, y, x] == five[0]
        weights = [math.exp(-float(squares[q]) / 50) for q in five]
        assert int((encoded[b, :, y, x] > 0).sum()) <= 5
        for q, weight in zip(five, weights, strict=True):
            assert abs(float(encoded[b, q, y, x]) - weight / sum(weights)) < 1e-4


def test_weights_follow_the_papers_formula() -> None:
    bins = gamut_bins()
    counts = torch.zeros(261, dtype=torch.int64)
    counts[[3, 100, 101]] = torch.tensor([10, 80, 10])
    kernel = torch.tensor(
        [[math.exp(-float((a - b).square().sum()) / 50) for b in bins] for a in bins]
    )
    prior = torch.zeros(261)
    for q in (3, 100, 101):
        prior += counts[q] / 100 * kernel[:, q] / kernel[:, q].sum()
    expected = 1 / (0.5 * prior + 0.5 / 261)
    expected /= (prior * expected).sum()
    weights = rebalancing_weights(counts, bins)
    torch.testing.assert_close(weights, expected)
    assert abs(float((prior * weights).sum()) - 1) < 1e-5
    assert weights[100] < weights[3] < weights[200]  # frequent, rare, never seen


def test_the_target_is_weighted_by_the_nearest_bin() -> None:
    torch.manual_seed(0)
    bins, weights = gamut_bins(), torch.rand(261)
    ab = torch.randn(2, 2, 3, 4) * 30
    encoded, nearest = soft_encode(ab, bins)
    target = weighted_target(ab, bins, weights)
    torch.testing.assert_close(target.sum(1), weights[nearest])
    torch.testing.assert_close(target[1, :, 2, 0], encoded[1, :, 2, 0] * weights[nearest[1, 2, 0]])


def test_no_constant_prediction_is_better_than_chance() -> None:
    torch.manual_seed(0)
    target = weighted_target(torch.randn(8, 2, 3, 3) * 30, gamut_bins(), torch.rand(261))
    chance = constant_loss(target)

    def loss(scores: torch.Tensor) -> torch.Tensor:
        return -(target * scores.log_softmax(0).view(1, -1, 1, 1)).sum(1).mean()

    best = target.mean((0, 2, 3)).clamp(min=1e-30).log()
    assert abs(float(loss(best)) - chance) < 1e-4
    for _ in range(20):
        assert loss(best + 0.1 * torch.randn(261)) > chance
