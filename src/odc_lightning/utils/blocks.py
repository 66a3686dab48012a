"""Rows in blocks of bounded size, so that intermediate results need little memory."""

from collections.abc import Iterator

# Numbers in a block, or in what is computed from it: 2**24 in fp32 are 64 MiB.
BLOCK_ELEMENTS = 2**24


def block_rows(elements_per_row: int, times: int = 1) -> int:
    """Number of rows whose numbers fit into a block, at least 1.

    Args:
        elements_per_row: numbers that a row has, or that are computed from a row.
        times: how many times ``BLOCK_ELEMENTS`` a block may hold.
    """
    return max(1, times * BLOCK_ELEMENTS // elements_per_row)


def blocks(num_rows: int, elements_per_row: int, times: int = 1) -> Iterator[slice]:
    """Slices of consecutive rows, of `block_rows` each but for the last.

    Args:
        num_rows: N.
        elements_per_row, times: see `block_rows`.
    """
    rows = block_rows(elements_per_row, times)
    return (slice(start, start + rows) for start in range(0, num_rows, rows))
