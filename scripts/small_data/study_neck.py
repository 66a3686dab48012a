"""A neck of the study alone."""

import torch.nn.functional as F
from torch import Tensor

from odc_lightning.models import NonLinearNeck


class LinearEndNeck(NonLinearNeck):
    """The paper's neck without its last ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """Turn features (B, in_features) into features (B, out_features)."""
        return self.fc1(self.dropout(F.relu(self.bn0(self.fc0(features)))))
