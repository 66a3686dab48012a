"""The backbone as a program of ``torch.export``, which runs without this package."""

from pathlib import Path

import torch
from torch import Tensor, nn

from odc_lightning.hub.compare import check_close
from odc_lightning.utils.text import first_line

# Images in a batch.
MAX_BATCH = 2**16


def batch_dim() -> dict[int, torch.export.Dim]:
    """The dynamic batch dimension of the input."""
    return {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}


def write_program(path: Path, network: nn.Module, images: Tensor, expected: Tensor) -> float:
    """Export, load, and compare.

    Args:
        path: of the file, which ends in ``.pt2``.
        network: images to features.
        images: (B, 3, S, S), B of 2 or more.
        expected: output of the network.

    Returns:
        The largest difference.

    Raises:
        ValueError: the network cannot be exported, or the program differs.
    """
    try:
        program = torch.export.export(
            network, (images[:2],), dynamic_shapes={"images": batch_dim()}
        )
        for node in program.graph.nodes:  # their traces name files of this machine
            node.meta.pop("stack_trace", None)
        torch.export.save(program, path)
        again = torch.export.load(path).module()
    except Exception as error:  # torch.export raises errors of all kinds
        raise ValueError(f"torch.export cannot export this network: {first_line(error)}") from error
    check_close("the exported program", again(images[:1]), expected[:1])
    return check_close("the exported program", again(images), expected)
