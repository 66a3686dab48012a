"""The file of names: what it may hold, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from odc_lightning.naming import GivenNames, clustering_id, read_given_names

WHOLE = {
    "format": "odc-labels",
    "version": 1,
    "clustering": "0123456789abcdef",
    "run": "/runs/one",
    "clusters": {"3": "tabby  cat", "10": None},
    "images": {"a b/ü.jpg": "dog", "x\udcff.jpg": None},
    "wrong": ["w.jpg"],
    "together": [["a.jpg", "b.jpg"]],
    "apart": [["a.jpg", "c.jpg"]],
}


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "labels.json"
    path.write_text(json.dumps(WHOLE | changes))
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    assert read_given_names(write(tmp_path)) == GivenNames(
        "0123456789abcdef",
        "/runs/one",
        {3: "tabby cat", 10: None},
        {"a b/ü.jpg": "dog", "x\udcff.jpg": None},
        ["w.jpg"],
        [("a.jpg", "b.jpg")],
        [("a.jpg", "c.jpg")],
    )


def test_it_is_written_as_it_is_read(tmp_path: Path) -> None:
    whole = read_given_names(write(tmp_path))
    assert read_given_names(write(tmp_path, **whole.as_json())) == whole


def test_names_of_all_scripts(tmp_path: Path) -> None:
    names = {"1": "می‌خواهم", "2": "👩\u200d🌾", "3": "日本語"}  # with joiners
    assert list(read_given_names(write(tmp_path, clusters=names)).clusters.values()) == list(
        names.values()
    )
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    both = read_given_names(write(tmp_path, clusters={"1": composed, "2": decomposed}))
    assert set(both.clusters.values()) == {composed}


def test_parts_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"format": "odc-labels", "version": 1, "images": {"a.jpg": "cat"}}')
    assert read_given_names(path) == GivenNames(images={"a.jpg": "cat"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "coco"}, "no format='odc-labels'"),
        ({"version": 2}, "version 2; this package reads version 1"),
        ({"clustering": None}, "names clusters, but not their clustering"),
        ({"clustering": 3}, "its clustering is 3; expected a text"),
        ({"clusters": []}, "its clusters is list; expected an object"),
        ({"clusters": {"-1": "cat"}}, "the key '-1'; expected the number of a cluster"),
        ({"clusters": {"1": ""}}, "1 has the name ''; expected a line"),
        ({"clusters": {"1": "a\nb"}}, "expected a line of 1 to 200 characters"),
        ({"clusters": {"1": 200 * "ab"}}, "expected a line of 1 to 200 characters"),
        ({"images": {"a.jpg": 3}}, "a.jpg has the name 3"),
        ({"wrong": [3]}, "its wrong is not a list of the names of images"),
        ({"wrong": ["a b/ü.jpg"]}, "a b/ü.jpg is in images and in wrong"),
        ({"together": [["a.jpg"]]}, "its together has ['a.jpg']; expected the names of two images"),
        ({"apart": [["a.jpg", "a.jpg"]]}, "expected the names of two images"),
        ({"apart": {}}, "its apart is dict; expected a list of pairs"),
    ],
)
def test_what_the_page_does_not_write(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=r"labels\.json: ") as refused:
        read_given_names(write(tmp_path, **changes))
    assert message in str(refused.value)


def test_no_file_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"labels=.*none\.json is not a file; expected the labels"):
        read_given_names(tmp_path / "none.json")
    (tmp_path / "list.json").write_text("[")
    with pytest.raises(ValueError, match=r"list\.json is damaged"):
        read_given_names(tmp_path / "list.json")


def test_the_id_tells_clusterings_apart() -> None:
    names, clusters = ["a", "b\udcff", "c"], np.array([0, 1, 0])
    own = clustering_id(names, clusters)
    assert own == clustering_id(list(names), clusters.astype(np.int32))
    assert len(own) == 16
    assert own != clustering_id(names, np.array([0, 1, 1]))
    assert own != clustering_id(["a", "b", "c"], clusters)
