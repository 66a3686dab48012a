"""Numbers from a device, for which the host does not wait until it needs them."""

from typing import Any

import torch
from torch import Tensor


class Fetched:
    """A tensor on its way from the device to the host, which goes on meanwhile."""

    def __init__(self, tensor: Tensor) -> None:
        """Queue the copy; on the CPU there is nothing to do."""
        self._copied: torch.cuda.Event | None = None
        self._tensor = tensor
        if tensor.is_cuda:
            self._tensor = torch.empty_like(tensor, device="cpu", pin_memory=True)
            self._tensor.copy_(tensor, non_blocking=True)
            self._copied = torch.cuda.Event()
            self._copied.record()

    def tensor(self) -> Tensor:
        """The copy in RAM; waits for what was queued before it alone."""
        if self._copied is not None:
            self._copied.synchronize()
        return self._tensor

    def value(self) -> Any:
        """The number, or the numbers as a list."""
        return self.tensor().tolist()
