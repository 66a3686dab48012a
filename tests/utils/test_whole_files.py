from pathlib import Path

import pytest

from odc_lightning.utils.whole_files import whole_file, whole_folder


@pytest.mark.parametrize("sync", [False, True])
def test_a_file_appears_whole_and_alone(tmp_path: Path, sync: bool) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old")
    with whole_file(path, sync=sync) as unfinished:
        unfinished.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as unfinished:
            unfinished.write_text("ne")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_body_that_fails_before_it_writes(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), whole_file(tmp_path / "facts.json"):
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    with whole_folder(folder) as unfinished:
        (unfinished / "a").write_text("1")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert folder.stat().st_mode & 0o777 == 0o755
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_is_replaced_only_if_that_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    folder.mkdir()
    (folder / "old").write_text("")
    with pytest.raises(OSError), whole_folder(folder):  # noqa: PT011
        pass
    assert [path.name for path in folder.iterdir()] == ["old"]
    with whole_folder(folder, replace=True) as unfinished:
        (unfinished / "new").write_text("")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_whose_body_fails_is_not_there(tmp_path: Path) -> None:
    def write() -> None:
        with whole_folder(tmp_path / "export") as unfinished:
            (unfinished / "a").write_text("1")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write()
    assert list(tmp_path.iterdir()) == []
