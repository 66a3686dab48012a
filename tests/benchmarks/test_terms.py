import pytest
from benchmarks.terms import Size

from benchmarks import terms

SIZE = Size(1000, 10, 4, 8)
ONES = dict.fromkeys(terms.ALL, 1.0)


def test_what_a_step_has_of_each_term() -> None:
    assert terms.amounts(SIZE, 2) == {
        terms.PRODUCT: 2 * 4 * 10 * 4,
        terms.ROWS: 8 * 4 * 4 * 2,  # gathered, and written
        terms.REFRESH: 10 * 4 * 4 / 10,
        terms.RANKS: 4 * (4 * 4 + 8 + 8),  # half of the batch comes from the other rank
        terms.SIMILARITIES: 4 * 10,
        terms.NUMBERS: 8 * 4,
        terms.FIXED: 1,
    }
    assert terms.step_seconds(ONES, SIZE, 2) == 320 + 256 + 16 + 128 + 40 + 32 + 1


def test_one_rank_needs_no_term_of_several() -> None:
    alone = {name: 1.0 for name in terms.ALL if name != terms.RANKS}
    assert terms.step_seconds(alone, SIZE) == 640 + 256 + 16 + 80 + 32 + 1
    with pytest.raises(KeyError, match="ranks"):
        terms.step_seconds(alone, SIZE, 2)


def test_the_rest_is_found_again() -> None:
    known = {terms.PRODUCT: 1e-11, terms.ROWS: 1e-9, terms.REFRESH: 1e-9}
    rest = {terms.SIMILARITIES: 3e-10, terms.NUMBERS: 2e-9, terms.FIXED: 1e-5}
    sizes = [
        Size(1000, clusters, dim, batch)
        for clusters, dim, batch in ((10, 8, 16), (1000, 8, 16), (10, 256, 512), (1000, 256, 64))
    ]
    measured = [(size, terms.step_seconds(known | rest, size)) for size in sizes]
    assert terms.fitted_rest(known, measured) == pytest.approx(rest, rel=1e-3)


def test_no_term_is_negative() -> None:
    known = {terms.PRODUCT: 1.0, terms.ROWS: 1.0, terms.REFRESH: 1.0}
    measured = [(SIZE, 1.0), (SIZE._replace(batch=16), 1.0)]
    assert all(value >= 0 for value in terms.fitted_rest(known, measured).values())
