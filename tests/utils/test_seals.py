"""Digests of files that are read again."""

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from odc_lightning.utils.seals import SUMS, check_seal, is_intact, seal, sealing


def test_every_changed_byte_is_found_and_nothing_else(tmp_path: Path) -> None:
    file, other = tmp_path / "a b.csv", tmp_path / "other.csv"
    file.write_bytes(b"index,path\n0,x.png\n")
    other.write_bytes(b"")
    assert is_intact(file) is None
    check_seal(file)  # a file of an earlier version has no seal
    seal(file)
    seal(other)
    assert is_intact(file)
    assert is_intact(other)
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert is_intact(file) is False
    with pytest.raises(ValueError, match=r"a b\.csv has changed since it was written.*SHA256SUMS"):
        check_seal(file)
    file.write_bytes(whole + b"more")
    seal(file)
    assert is_intact(file)
    file.unlink()
    assert is_intact(file) is False


def test_the_list_is_that_of_sha256sum(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).write_text(name)
    seal(tmp_path / "a", tmp_path / "b")
    checked = subprocess.run(["sha256sum", "-c", SUMS], cwd=tmp_path, capture_output=True)
    assert checked.returncode == 0


def test_a_crash_while_a_file_is_replaced_leaves_no_wrong_seal(tmp_path: Path) -> None:
    file, other = tmp_path / "summary.json", tmp_path / "other.csv"
    for each in (file, other):
        with sealing(each):
            each.write_text("first")
    with suppress(OSError), sealing(file):
        file.write_text("second")
        raise OSError("crash")
    assert is_intact(file) is None
    assert is_intact(other)
    with sealing(file):
        file.write_text("third")
    assert is_intact(file)


@pytest.mark.parametrize("text", ["", "\n\n", "no digest\n", "0  ../elsewhere\n", "\xff"])
def test_a_damaged_list_is_no_error(tmp_path: Path, text: str) -> None:
    (tmp_path / SUMS).write_text(text, "latin1")
    (tmp_path / "file").touch()
    assert is_intact(tmp_path / "file") is None
    seal(tmp_path / "file")
    assert is_intact(tmp_path / "file")
    assert ".." not in (tmp_path / SUMS).read_text()
