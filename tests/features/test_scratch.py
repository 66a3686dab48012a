"""Rows on disk: all of them, in order, and nothing left behind."""

import shutil
from pathlib import Path

import pytest
import torch

from odc_lightning.features.scratch import scratch_rows


def test_rows_come_back_and_leave_no_file(tmp_path: Path) -> None:
    batches = [torch.randn(5, 3), torch.randn(5, 3), torch.randn(2, 3)]
    with scratch_rows(iter(batches), 12, tmp_path / "new") as rows:
        assert torch.equal(rows, torch.cat(batches))
        assert rows.dtype == torch.float32
        assert not list((tmp_path / "new").iterdir())  # it has no name even now


def test_a_wrong_number_of_rows_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="got 5 rows of features, expected 7"),
        scratch_rows([torch.zeros(5, 2)], 7, tmp_path),
    ):
        pass


def test_a_full_disk_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with (
        pytest.raises(ValueError, match=r"need 8\.0 GB in .*No space left.*scratch_dir"),
        scratch_rows([torch.zeros(1, 2)], 10**9, tmp_path),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ValueError, match=r"cannot be written to .*scratch_dir"),
        scratch_rows([torch.zeros(1, 2)], 1, tmp_path / "file" / "below"),
    ):
        pass
    assert shutil.disk_usage(tmp_path).free > 0
