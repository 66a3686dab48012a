"""The linear classifier that scores features: what a plane can tell apart of them."""

from torch import Tensor, nn


class LinearProbe(nn.Module):
    """Batch normalisation without weight and bias, then one linear layer.

    As in the authors' code for linear classification, where all positions of a feature map share
    the statistics of their channel: normalised features of any network can be trained with one
    learning rate. The linear layer starts at zero, from where the loss is ln of
    the number of classes; the problem is convex, so nothing has to be drawn at random, and nothing
    is.

    Args:
        in_features: width of the features.
        num_classes: number of classes.
        channels: how many there are in a flattened feature map; None for features that are no map.

    Raises:
        ValueError: any is less than 1, or the channels do not divide the width.
    """

    def __init__(self, in_features: int, num_classes: int, channels: int | None = None) -> None:
        super().__init__()
        if in_features < 1 or num_classes < 1:
            raise ValueError(
                f"Got in_features={in_features} and num_classes={num_classes}; both must be 1 or "
                "more."
            )
        self.channels = in_features if channels is None else channels
        if self.channels < 1 or in_features % self.channels:
            raise ValueError(
                f"Got {channels} channels for {in_features} features; expected a divisor of them."
            )
        self.bn = nn.BatchNorm1d(self.channels, affine=False)
        # torch would draw the weights from the global generator, for nothing.
        self.fc = nn.utils.skip_init(nn.Linear, in_features, num_classes)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, in_features) into logits (B, num_classes)."""
        normalised = self.bn(features.unflatten(1, (self.channels, -1))).flatten(1)
        logits: Tensor = self.fc(normalised)
        return logits
