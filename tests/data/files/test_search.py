"""The search for images: what it finds, what it passes over, and how it says so."""

from pathlib import Path

import pytest
from PIL import Image

from odc_lightning.data.files import search
from odc_lightning.data.files.search import PassedOver, find_images, report_passed_over


def write(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".png"):
            Image.new("RGB", (4, 4)).save(root / name)
        else:
            (root / name).write_bytes(b"x")


def test_nothing_is_passed_over_without_a_word(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "b/c.png", "b/x.HEIC", "y.heic", "z.NEF", "notes.txt", "README")
    write(tmp_path, "strange.é\x1b[2J", "long.extensionwithoutend", "trailing.", ".secret.png")
    names, passed = find_images(tmp_path)
    assert names == ["a.png", "b/c.png"]
    assert str(passed) == (
        "8 files passed over: 2 .heic (install pillow-heif to use them), "
        "1 .nef (raw photographs, export them as JPEG or TIFF), "
        "4 without an extension, 1 .txt; 1 image left out by data.exclude: 1 by .*"
    )


@pytest.mark.parametrize(("name", "level"), [("x.HEIC", "WARNING"), ("notes.txt", "INFO")])
def test_photographs_that_are_passed_over_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, level: str
) -> None:
    write(tmp_path, "a.png", name)
    caplog.set_level("INFO")
    report_passed_over("train", find_images(tmp_path)[1])
    (record,) = caplog.records
    assert record.levelname == level
    assert record.getMessage().startswith("data.train: 1 file passed over: 1 .")


def test_nothing_is_logged_if_nothing_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "a.png")
    caplog.set_level("INFO")
    for passed in (find_images(tmp_path)[1], None):
        report_passed_over("train", passed)
    assert caplog.records == []


def test_files_of_systems_need_no_words(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "Thumbs.db", ".DS_Store", "desktop.ini", "._a.png", "__MACOSX/._a.png")
    for exclude in ((".*",), ()):
        names, passed = find_images(tmp_path, exclude)
        assert names == ["a.png"]
        assert str(passed) == ""


def test_excluded_images_are_counted_by_pattern(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "@eaDir/a.png/M.png", "@eaDir/a.png/XL.png", "@eaDir/a.png/x.info")
    write(tmp_path, "sub/@eaDir/b.png/M.png", "sub/b.png", "sub/b_small.png", ".git/HEAD")
    names, passed = find_images(tmp_path, [".*", "@eaDir/", "*_small.png"])
    assert names == ["a.png", "sub/b.png"]
    assert str(passed) == ("4 images left out by data.exclude: 3 by @eaDir/, 1 by *_small.png")
    everything, passed = find_images(tmp_path, [])
    assert len(everything) == 6
    assert passed.kinds == {".info": 1, "": 1}


def test_counting_excluded_images_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_MAX_COUNTED", 4)
    write(tmp_path, "a.png", *(f"@eaDir/{number}.png/M.png" for number in range(9)))
    names, passed = find_images(tmp_path, ["@eaDir/"])
    assert names == ["a.png"]
    # The first of the four folders is @eaDir itself.
    assert str(passed) == "at least 3 images left out by data.exclude: 3 by @eaDir/"
    write(tmp_path, "z/@bin/b.png")
    assert str(find_images(tmp_path, ["@eaDir/", "@bin/"])[1]).endswith("@eaDir/, 0 by @bin/")


def test_a_long_account_ends() -> None:
    passed = PassedOver()
    for number in range(12):
        passed.kinds[f".k{number:02}"] = 20 - number
    assert str(passed).endswith(".k06, 13 .k07, 42 of other kinds")
    assert str(passed).startswith("174 files passed over: 20 .k00, ")


def test_the_order_does_not_depend_on_the_disk(tmp_path: Path) -> None:
    write(tmp_path, "b/1.png", "a.png", "b.png", "B.png", "a/9.png", "a b/1.png")
    assert find_images(tmp_path)[0] == sorted(
        ["b/1.png", "a.png", "b.png", "B.png", "a/9.png", "a b/1.png"]
    )


@pytest.mark.parametrize("root", [".", "sub", "./sub/"])
def test_a_relative_root(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "sub/a.png", "sub/deep/b.png")
    monkeypatch.chdir(tmp_path)
    below = "sub/" if root == "." else ""
    assert find_images(Path(root))[0] == [f"{below}a.png", f"{below}deep/b.png"]
