"""Necks: modules that reduce the backbone's features to the width that is clustered."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from odc_lightning.pretext.tiles import NUM_TILES


class NoNeck(nn.Identity):
    """The identity: the backbone's features are clustered unchanged, as in DeepCluster."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = self.out_features = in_features


class CenteringNeck(nn.Module):
    """The backbone's features minus their mean over a data set.

    Features of a trained network share a large constant part, which hides their differences once
    they are scaled to unit length.

    Args:
        in_features: width of the backbone's features.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = self.out_features = in_features
        self.mean: Tensor
        self.register_buffer("mean", torch.zeros(in_features))

    def forward(self, features: Tensor) -> Tensor:
        """Subtract the mean from features (B, in_features)."""
        return features - self.mean


class NonLinearNeck(nn.Module):
    """The paper's fc-bn-relu-dropout-fc-relu (Sec. 3.2, "Dimensionality Reduction").

    Details that the paper leaves open follow the authors' code: a batch normalisation without
    weight and bias whose running statistics move by 0.1 % per step, Kaiming-normal linear layers
    (fan in), and the names ``fc0``, ``bn0``, ``fc1``. Downstream tasks do not use the neck.

    Args:
        in_features: width of the backbone's features.
        hidden_features: width between the two linear layers.
        out_features: width D of the features that are clustered.
        dropout: probability of dropping a hidden unit.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int = 512,
        out_features: int = 256,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.fc0 = nn.Linear(in_features, hidden_features)
        self.bn0 = nn.BatchNorm1d(hidden_features, momentum=0.001, affine=False)
        self.dropout = nn.Dropout(dropout)
        self.fc1 = nn.Linear(hidden_features, out_features)
        for linear in (self.fc0, self.fc1):
            nn.init.kaiming_normal_(linear.weight, mode="fan_in", nonlinearity="relu")
            nn.init.zeros_(linear.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, in_features) into non-negative features (B, out_features)."""
        hidden = self.dropout(F.relu(self.bn0(self.fc0(features))))
        return F.relu(self.fc1(hidden))


class ProjectionNeck(nn.Module):
    """fc-bn-relu-fc to features of unit length, as in DeepCluster-v2 and SwAV.

    Args:
        in_features: width of the backbone's features.
        hidden_features: width between the two linear layers.
        out_features: width D of the features that are clustered.
    """

    def __init__(
        self, in_features: int, hidden_features: int = 2048, out_features: int = 128
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.fc0 = nn.Linear(in_features, hidden_features)
        self.bn0 = nn.BatchNorm1d(hidden_features)
        self.fc1 = nn.Linear(hidden_features, out_features)

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, in_features) into features (B, out_features) of unit length."""
        return F.normalize(self.fc1(F.relu(self.bn0(self.fc0(features)))), dim=1)


class JigsawNeck(nn.Module):
    """A layer shared by all tiles of a puzzle, then the concatenated tiles of each image.

    Tiles are processed separately until they are joined, so each must be recognised by itself
    (Noroozi and Favaro, ECCV 2016, Sec. 4.1). Layer, batch normalisation and ReLU are those of
    VISSL for ResNets (Goyal et al., ICCV 2019).

    Args:
        in_features: width of the backbone's features.
        tile_features: outputs of the shared layer; the neck has nine times as many.
    """

    def __init__(self, in_features: int, tile_features: int = 1000) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = NUM_TILES * tile_features
        self.tile = nn.Sequential(
            nn.Linear(in_features, tile_features, bias=False),  # normalisation would remove it
            nn.BatchNorm1d(tile_features),
            nn.ReLU(inplace=True),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Turn features of tiles (9 B, in_features) into features of images (B, out_features)."""
        joined: Tensor = self.tile(features).view(-1, self.out_features)
        return joined
