"""Comparison of the outputs of two programs."""

from torch import Tensor

# Relative to the largest number; other programs sum convolutions in another order.
TOLERANCE = 1e-4


def check_close(what: str, found: Tensor, expected: Tensor) -> float:
    """Compare the output of another program with the network's output.

    Args:
        what: the program's name, for messages.
        found: output of the program.
        expected: output of the network, of the same shape.

    Returns:
        The largest difference.

    Raises:
        ValueError: if the shapes differ, or the numbers differ beyond rounding.
    """
    if found.shape != expected.shape:
        raise ValueError(
            f"{what} gives shape {tuple(found.shape)}, expected {tuple(expected.shape)}; nothing "
            "was exported"
        )
    difference = float((found - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise ValueError(
            f"{what} gives numbers that differ by {difference:.2g} from the network's output, "
            f"expected {allowed:.2g} at most; nothing was exported"
        )
    return difference
