"""A neck that only the study of small data uses."""

import torch.nn.functional as F
from torch import Tensor

from odc_lightning.models import NonLinearNeck


class LinearEndNeck(NonLinearNeck):
    """The paper's neck without its last ReLU."""

    def forward(self, features: Tensor) -> Tensor:
        """Project features (B, in_features) to features (B, out_features)."""
        return self.fc1(self.dropout(F.relu(self.bn0(self.fc0(features)))))
