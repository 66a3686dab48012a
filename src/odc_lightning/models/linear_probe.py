"""The linear classifier of a linear probe."""

from torch import Tensor, nn


class LinearProbe(nn.Module):
    """Batch normalisation without weight and bias, then one linear layer.

    As in the authors' code for linear classification, all positions of a feature map share the
    statistics of their channel. With normalised features one learning rate suits any network. The
    linear layer starts at zero, where the loss is the logarithm of the number of classes. The
    problem is convex, so no random initialisation is needed.

    Args:
        in_features: width of the features.
        num_classes: number of classes.
        channels: number of channels of a flattened feature map; None for features that are not a
            map.

    Raises:
        ValueError: if a number is less than 1, or the channels do not divide the width.
    """

    def __init__(self, in_features: int, num_classes: int, channels: int | None = None) -> None:
        super().__init__()
        if in_features < 1 or num_classes < 1:
            raise ValueError(
                f"in_features={in_features} and num_classes={num_classes}; expected 1 or more for "
                "both"
            )
        self.channels = in_features if channels is None else channels
        if self.channels < 1 or in_features % self.channels:
            raise ValueError(
                f"channels={channels} for {in_features} features; expected a divisor of "
                f"{in_features}"
            )
        self.bn = nn.BatchNorm1d(self.channels, affine=False)
        # torch would draw weights from the global generator, only to be replaced by zeros.
        self.fc = nn.utils.skip_init(nn.Linear, in_features, num_classes)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, in_features) into logits (B, num_classes)."""
        normalised = self.bn(features.unflatten(1, (self.channels, -1))).flatten(1)
        logits: Tensor = self.fc(normalised)
        return logits
