"""The backbone as a program of ``torch.export``, which needs no code of this package."""

from pathlib import Path

import torch
from torch import Tensor, nn

from odc_lightning.hub.compare import check_close
from odc_lightning.utils.text import first_line

# Images at once, at most.
MAX_BATCH = 2**16


def batch_dim() -> dict[int, torch.export.Dim]:
    """That the batch may be of any size."""
    return {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}


def write_program(path: Path, network: nn.Module, images: Tensor, expected: Tensor) -> float:
    """Export, read again, and compare.

    Args:
        path: of the file, which ends in ``.pt2``.
        network: images to features.
        images: (B, 3, S, S), B of 2 or more.
        expected: what the network gives.

    Returns:
        The largest difference.

    Raises:
        ValueError: the network cannot be exported, or the program differs.
    """
    try:
        program = torch.export.export(
            network, (images[:2],), dynamic_shapes={"images": batch_dim()}
        )
        for node in program.graph.nodes:  # which name files of this machine
            node.meta.pop("stack_trace", None)
        torch.export.save(program, path)
        again = torch.export.load(path).module()
    except Exception as error:  # torch.export raises of all kinds
        raise ValueError(f"torch.export does not take this network: {first_line(error)}") from error
    check_close("the exported program", again(images[:1]), expected[:1])
    return check_close("the exported program", again(images), expected)
