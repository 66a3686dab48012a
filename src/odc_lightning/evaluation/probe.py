"""The linear classifier that scores features: what a plane can tell apart of them."""

from torch import Tensor, nn


class LinearProbe(nn.Module):
    """Batch normalisation without weight and bias, then one linear layer.

    As in the authors' code for linear classification: normalised features of any network can be
    trained with one learning rate. The linear layer starts at zero, from where the loss is ln of
    the number of classes; the problem is convex, so nothing has to be drawn at random, and nothing
    is.

    Args:
        in_features: width of the features.
        num_classes: number of classes.

    Raises:
        ValueError: either is less than 1.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        if in_features < 1 or num_classes < 1:
            raise ValueError(
                f"Got in_features={in_features} and num_classes={num_classes}; both must be 1 or "
                "more."
            )
        self.bn = nn.BatchNorm1d(in_features, affine=False)
        # torch would draw the weights from the global generator, for nothing.
        self.fc = nn.utils.skip_init(nn.Linear, in_features, num_classes)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, in_features) into logits (B, num_classes)."""
        return self.fc(self.bn(features))
