"""A profile of the memory's step."""

from benchmarks.profile import profiled


def test_a_profile_has_the_product_with_the_centroids() -> None:
    table = profiled(2000, 20, 8, 16, most=100)
    names = [row[0] for row in table.rows]
    assert "aten::addmm" in names
    assert all(isinstance(row[1], float) and row[1] >= 0 for row in table.rows)
    calls = dict(zip(names, (row[3] for row in table.rows), strict=True))
    assert calls["aten::addmm"] == 1
