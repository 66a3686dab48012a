import pytest

from odc_lightning.utils import blocks as module
from odc_lightning.utils.blocks import block_rows, blocks


def test_blocks_cover_all_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 20)
    assert block_rows(6) == 3
    assert block_rows(6, times=2) == 6
    assert [range(8)[rows] for rows in blocks(8, 6)] == [range(3), range(3, 6), range(6, 8)]
    assert [range(8)[rows] for rows in blocks(8, 6, times=2)] == [range(6), range(6, 8)]


def test_a_row_wider_than_a_block_is_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ELEMENTS", 20)
    assert list(blocks(2, 100)) == [slice(0, 1), slice(1, 2)]
    assert list(blocks(0, 100)) == []
