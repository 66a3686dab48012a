"""Comparison of an exported network with the original."""

from torch import Tensor

# Relative to the largest number; other programs sum convolutions in another order.
TOLERANCE = 1e-4


def check_close(what: str, found: Tensor, expected: Tensor) -> float:
    """Compare the output of another program with that of the network.

    Args:
        what: name of the program, for the message.
        found: its output.
        expected: the network's output, of the same shape.

    Returns:
        The largest difference.

    Raises:
        ValueError: the shapes differ, or the difference is larger than rounding explains.
    """
    if found.shape != expected.shape:
        raise ValueError(f"{what} gives {tuple(found.shape)}, expected {tuple(expected.shape)}")
    difference = float((found - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise ValueError(
            f"{what} gives numbers that differ by {difference:.2g} from those of the network, "
            f"expected {allowed:.2g} at most; nothing was exported"
        )
    return difference
