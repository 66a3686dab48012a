import torch
from torch.nn.functional import cross_entropy

from odc_lightning.callbacks.odc.loss_reweighting import normalized
from odc_lightning.clustering import loss_weights


def test_one_over_the_square_root_of_the_size() -> None:
    torch.testing.assert_close(
        loss_weights(torch.tensor([1, 4, 100])), torch.tensor([1.0, 0.5, 0.1])
    )


def test_the_loss_is_torchs_weighted_mean_and_the_scale_of_the_weights_cancels() -> None:
    counts = torch.tensor([3, 50, 7, 1000])
    logits, target = torch.randn(32, 4), torch.randint(4, (32,))
    expected = cross_entropy(logits, target, weight=loss_weights(counts))
    losses = cross_entropy(logits, target, reduction="none")
    for scale in (1.0, 1e-4, 1e4):
        weights = normalized(scale * loss_weights(counts[target]))
        torch.testing.assert_close((losses * weights).mean(), expected)
