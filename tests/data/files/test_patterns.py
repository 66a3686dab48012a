"""Patterns of names, as `data.exclude` has them."""

from pathlib import Path

import pytest

from odc_lightning.data.files.patterns import Patterns

ROOT = Path("/photos/Family.photoslibrary")


@pytest.mark.parametrize(
    ("pattern", "folder", "name", "matches"),
    [
        ("@eaDir/", "a/b", "@eaDir", True),
        ("@eaDir/", "a/b", "@eadir", True),  # the case does not matter
        ("@eaDir", "", "@eaDir2", False),
        (".*", "a", ".trash", True),
        ("*.lrdata/", "", "Catalog Previews.lrdata", True),
        ("2019/drafts", "2019", "drafts", True),
        ("2019/drafts", "old/2019", "drafts", True),
        ("2019/drafts", "2018", "drafts", False),
        ("2019/drafts", "", "drafts", False),
        ("/drafts", "", "drafts", True),
        ("/drafts", "2019", "drafts", False),
        ("/2019/drafts", "2019", "drafts", True),
        ("/2019/drafts", "old/2019", "drafts", False),
        ("**/drafts/**", "2019", "drafts", True),
        ("*.photoslibrary/resources/", "", "resources", True),  # the root is the library
        ("*.photoslibrary/resources/", "", "originals", False),
        ("[ab]?", "", "a1", True),
        ("[ab]?", "", "c1", False),
        ("#recycle/", "x", "#recycle", True),
        ("caf\udce9", "", "caf\udce9", True),  # not UTF-8
        ("line\nbreak", "", "line\nbreak", True),
    ],
)
def test_of_folders(pattern: str, folder: str, name: str, matches: bool) -> None:
    parents = (ROOT / folder).parts
    found = Patterns([pattern], ROOT).of_folder(parents, name)
    assert found == (pattern if matches else None)


def test_a_final_slash_is_a_folder() -> None:
    patterns = Patterns(["drafts/", "*_small.jpg", "@eaDir"], ROOT)
    assert patterns.of_file(ROOT.parts, "drafts") is None
    assert patterns.of_folder(ROOT.parts, "drafts") == "drafts/"
    assert patterns.of_file(ROOT.parts, "IMG_SMALL.JPG") == "*_small.jpg"
    assert patterns.of_file(ROOT.parts, "@eaDir") == "@eaDir"


@pytest.mark.parametrize("none", [None, []])
def test_no_patterns(none: list[str] | None) -> None:
    assert Patterns(none, ROOT).of_folder(ROOT.parts, ".hidden") is None


def test_numbers_are_names() -> None:
    assert Patterns([2019], ROOT).of_folder(ROOT.parts, "2019") == "2019"


@pytest.mark.parametrize("wrong", ["drafts", [""], ["/"], ["a", " "], ["**"]])
def test_what_is_not_a_list_of_patterns(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"data\.exclude=.*; expected a list of names or patterns"):
        Patterns(wrong, ROOT)  # type: ignore[arg-type]
