import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from odc_lightning.models.linear_probe import LinearProbe


def test_it_is_a_linear_layer_on_normalised_features() -> None:
    probe = LinearProbe(5, 3)
    features = 7 * torch.randn(64, 5) + 2
    nn.init.normal_(probe.fc.weight)
    nn.init.normal_(probe.fc.bias)
    mean, std = features.mean(dim=0), features.var(dim=0, correction=0).add(1e-5).sqrt()
    expected = (features - mean) / std @ probe.fc.weight.T + probe.fc.bias
    torch.testing.assert_close(probe(features), expected)
    assert {name for name, _ in probe.named_parameters()} == {"fc.weight", "fc.bias"}


def test_it_starts_from_zero_and_draws_nothing() -> None:
    state = torch.random.get_rng_state()
    probe = LinearProbe(4, 10)
    assert torch.equal(torch.random.get_rng_state(), state)
    logits = probe(torch.randn(8, 4))
    assert not logits.any()
    loss = cross_entropy(logits, torch.arange(8))
    assert loss.item() == pytest.approx(math.log(10))
    loss.backward()
    assert probe.fc.weight.grad is not None
    assert probe.fc.weight.grad.any()  # zero is no place where it would stay


def test_in_eval_mode_a_single_sample_will_do() -> None:
    assert LinearProbe(4, 2).eval()(torch.ones(1, 4)).shape == (1, 2)


@pytest.mark.parametrize("sizes", [(0, 2), (2, 0)])
def test_a_probe_of_nothing(sizes: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=rf"in_features={sizes[0]} and num_classes={sizes[1]}; expected 1 or more"
    ):
        LinearProbe(*sizes)
