"""A function of many files, in threads."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_threads(function: Callable[[T], R], items: Sequence[T], at_once: int) -> list[R]:
    """The results of a function for all items, in their order.

    Threads suffice for files: reading and decoding release the interpreter lock.

    Args:
        function: of one item.
        items: all of them.
        at_once: number of items that a thread takes at once.
    """

    def part(start: int) -> list[R]:
        return [function(item) for item in items[start : start + at_once]]

    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as pool:
        parts = pool.map(part, range(0, len(items), at_once))
        return [result for results in parts for result in results]
