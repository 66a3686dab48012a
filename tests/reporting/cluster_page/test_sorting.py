import csv
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from helpers.made_up_run import HOSTILE, made_up, write_images
from odc_lightning.data import FileSource
from odc_lightning.reporting.cluster_page.sorting import (
    How,
    cluster_folders,
    named_folders,
    plan_sorting,
    sort_images,
)

NAMES = ("a.jpg", "x/a.jpg", "x/b.jpg", "y/a.jpg", "y/a~2.jpg", "z.jpg")
FOLDERS = cluster_folders(np.array([0, 0, 1, 0, 0, 10]))


@pytest.fixture
def source(tmp_path: Path) -> FileSource:
    write_images(tmp_path / "photos", NAMES)
    return FileSource(tmp_path / "photos", NAMES)


def everything_in(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino)
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("how", ["copy", "hardlink", "symlink"])
def test_images_are_in_the_folder_of_their_cluster_and_originals_stay(
    source: FileSource, tmp_path: Path, how: How
) -> None:
    before = everything_in(source.root)
    plan = plan_sorting(source, FOLDERS, tmp_path / "sorted", how)
    assert not (tmp_path / "sorted").exists()
    assert "6 images" in plan.lines()[0]
    assert "3 folders of 1 to 4 images" in plan.lines()[0]
    sort_images(plan)
    assert everything_in(source.root) == before
    expected = {
        "cluster_00/a.jpg": "a.jpg",
        "cluster_00/a~2.jpg": "x/a.jpg",
        "cluster_01/b.jpg": "x/b.jpg",
        "cluster_00/a~3.jpg": "y/a.jpg",
        "cluster_00/a~2~2.jpg": "y/a~2.jpg",
        "cluster_10/z.jpg": "z.jpg",
    }
    made = {
        path.relative_to(tmp_path / "sorted").as_posix(): path
        for path in (tmp_path / "sorted").glob("*/*")
    }
    assert made.keys() == expected.keys()
    for name, original in expected.items():
        path, original_path = made[name], source.root / original
        assert path.read_bytes() == original_path.read_bytes()
        assert path.is_symlink() == (how == "symlink")
        assert path.samefile(original_path) == (how != "copy")
    with (tmp_path / "sorted" / "sorted.csv").open(newline="") as file:
        rows = {row["file"]: row["original"] for row in csv.DictReader(file)}
    assert rows == {name: str(source.root / original) for name, original in expected.items()}


def test_hostile_names_are_sorted_and_printed_safely(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", HOSTILE)
    source = FileSource(tmp_path / "photos", HOSTILE)
    plan = plan_sorting(source, len(HOSTILE) * ["cluster_0"], tmp_path / "out", "copy")
    assert all(line.isprintable() for line in plan.lines())
    "\n".join(plan.lines()).encode("utf-8")
    sort_images(plan)
    made = {path.name for path in (tmp_path / "out" / "cluster_0").iterdir()}
    assert made == {name.rpartition("/")[2] for name in HOSTILE}


@pytest.mark.parametrize("where", ["photos/sorted", "photos/x/sorted", "photos/new/deep"])
def test_a_folder_among_the_images_is_refused(
    source: FileSource, tmp_path: Path, where: str
) -> None:
    with pytest.raises(ValueError, match="among the images themselves"):
        plan_sorting(source, FOLDERS, tmp_path / where, "copy")
    (tmp_path / "alias").symlink_to(source.root)
    with pytest.raises(ValueError, match="among the images themselves"):
        plan_sorting(source, FOLDERS, tmp_path / "alias" / "sorted", "copy")


def test_what_cannot_work_is_refused_before_anything_is_made(
    source: FileSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    for occupied in (source.root, source.root / "a.jpg"):
        with pytest.raises(ValueError, match="is not an empty folder"):
            plan_sorting(source, FOLDERS, occupied, "copy")
    with pytest.raises(ValueError, match="expected one of copy, hardlink, symlink"):
        plan_sorting(source, FOLDERS, out, "move")  # type: ignore[arg-type]
    clustered = made_up(10, 2)
    with pytest.raises(ValueError, match="only files can be sorted"):
        plan_sorting(clustered.source, cluster_folders(clustered.labels), out, "copy")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10, 10, 10))
    with pytest.raises(ValueError, match=r"copies need 0\.0 GB"):
        plan_sorting(source, FOLDERS, out, "copy")
    plan_sorting(source, FOLDERS, out, "symlink")
    assert not out.exists()


def test_hard_links_to_another_disk_are_refused(source: FileSource) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == source.root.stat().st_dev:
        pytest.skip("there is no second disk here")
    with pytest.raises(ValueError, match="on another disk"):
        plan_sorting(source, FOLDERS, other / "odc-no-such-folder", "hardlink")


def test_missing_files_are_left_out_and_told(source: FileSource, tmp_path: Path) -> None:
    (source.root / "x" / "b.jpg").unlink()
    plan = plan_sorting(source, FOLDERS, tmp_path / "out", "hardlink")
    assert plan.missing == ["x/b.jpg"]
    assert "not there any more and left out: 1 image, for" in plan.lines()[-1]
    sort_images(plan)
    assert not (tmp_path / "out" / "cluster_01").exists()


def test_a_disk_that_refuses_is_told_in_a_line(source: FileSource, tmp_path: Path) -> None:
    plan = plan_sorting(source, FOLDERS, tmp_path / "out", "copy")
    (source.root / "x" / "b.jpg").unlink()
    with pytest.raises(ValueError, match="no original was touched"):
        sort_images(plan)


def test_a_folder_for_each_name_on_every_file_system(source: FileSource, tmp_path: Path) -> None:
    long = named_folders([100 * "日本", 100 * "日本" + "!"])
    assert long == [33 * "日本", 33 * "日本" + "~2"]  # 200 bytes
    with pytest.raises(ValueError, match="no image has a name, so there is nothing to sort"):
        plan_sorting(source, named_folders(6 * [""]), tmp_path / "named", "copy")
    names = ["cat", "Cat", "a/b: c?", "", "con.jpg", "..."]
    folders = named_folders(names)
    assert folders == ["cat~2", "Cat", "a_b_ c_", None, "_con.jpg", "_"]
    plan = plan_sorting(source, folders, tmp_path / "named", "copy")
    sort_images(plan)
    files = (tmp_path / "named").glob("*/*.jpg")
    assert sorted(path.parent.name for path in files) == [
        "Cat",
        "_",
        "_con.jpg",
        "a_b_ c_",
        "cat~2",
    ]
