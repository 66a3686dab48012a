"""The backbone as a ``torch.export`` program, which runs without this package."""

from pathlib import Path

import torch
from torch import Tensor, nn

from odc_lightning.hub.compare import check_close
from odc_lightning.utils.text import first_line

# Largest batch size of an exported program.
MAX_BATCH = 2**16


def batch_dim() -> dict[int, torch.export.Dim]:
    """The dynamic batch dimension, from 1 to `MAX_BATCH`."""
    return {0: torch.export.Dim("batch", min=1, max=MAX_BATCH)}


def write_program(path: Path, network: nn.Module, images: Tensor, expected: Tensor) -> float:
    """Export the network, load the file, and compare the outputs.

    Args:
        path: the file to write, ending in ``.pt2``.
        network: from images to features.
        images: (B, 3, S, S), with B of 2 or more.
        expected: the network's features (B, F).

    Returns:
        The largest difference.

    Raises:
        ValueError: if the network cannot be exported, or the outputs differ.
    """
    try:
        program = torch.export.export(
            network, (images[:2],), dynamic_shapes={"images": batch_dim()}
        )
        for node in program.graph.nodes:
            node.meta.pop("stack_trace", None)  # it contains file paths of this machine
        torch.export.save(program, path)
        again = torch.export.load(path).module()
    except Exception as error:  # torch.export raises errors of many types
        raise ValueError(
            f"torch.export cannot export this network: {first_line(error)}; nothing was exported"
        ) from error
    check_close("the exported program", again(images[:1]), expected[:1])
    return check_close("the exported program", again(images), expected)
