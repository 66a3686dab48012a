"""A function of many items, in threads."""

import threading

import pytest

from odc_lightning.utils.threads import in_threads


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_results_keep_the_order_of_the_items(at_once: int) -> None:
    assert in_threads(lambda item: item**2, range(100), at_once) == [n**2 for n in range(100)]


def test_items_are_worked_on_side_by_side() -> None:
    both = threading.Barrier(2, timeout=10)
    assert sorted(in_threads(lambda _: both.wait(), "ab", 1)) == [0, 1]


def test_nothing_and_errors() -> None:
    assert in_threads(str, [], 5) == []
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 // item, [1, 0], 1)
