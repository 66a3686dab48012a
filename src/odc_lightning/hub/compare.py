"""Whether two programs give the same numbers."""

from torch import Tensor

# Of the largest number; convolutions are summed in another order elsewhere.
TOLERANCE = 1e-4


def check_close(what: str, found: Tensor, expected: Tensor) -> float:
    """Compare numbers of another program with those of the network here.

    Args:
        what: for the message.
        found: its numbers.
        expected: of the same shape.

    Returns:
        The largest difference.

    Raises:
        ValueError: for another shape, or a difference beyond rounding.
    """
    if found.shape != expected.shape:
        raise ValueError(f"{what} gives {tuple(found.shape)}, expected {tuple(expected.shape)}")
    difference = float((found - expected).abs().max())
    allowed = TOLERANCE * max(1.0, float(expected.abs().max()))
    if not difference <= allowed:
        raise ValueError(
            f"{what} gives numbers that differ by {difference:.2g} from those of the network here, "
            f"expected {allowed:.2g} at most; nothing was exported"
        )
    return difference
