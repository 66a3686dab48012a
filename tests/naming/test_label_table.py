"""Tables of labels: the two columns that count, and all that is refused."""

import re
from pathlib import Path

import pytest

from odc_lightning.naming.label_table import read_label_table
from odc_lightning.utils.tables import table_writer


def test_names_of_a_person_and_of_clusters_count(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    with table_writer(file, ("path", "label", "source", "probability")) as write:
        write(
            [
                ("a/1.jpg", "cat", "person", 1.0),
                ("a/2.jpg", "  big   dog ", "cluster", ""),
                ("a/3.jpg", "cat", "classifier", 0.9),
                ("a/4.jpg", "", "", ""),
                ("=5.jpg", "+cat", "person", ""),
                ("a/6.jpg", "", "cluster", ""),  # rubbish
            ]
        )
    given = read_label_table(file)
    names = {"a/1.jpg": "cat", "a/2.jpg": "big dog", "=5.jpg": "+cat"}
    assert given.images == {**names, "a/6.jpg": None}
    assert not given.clusters


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("label,path\ncat,1.jpg\ncat,1.jpg\n,2.jpg\n")
    assert read_label_table(file).images == {"1.jpg": "cat"}
    file.write_text("path,label,source\n1.jpg,cat,camera 1\n2.jpg,,camera 2\n")
    assert read_label_table(file).images == {"1.jpg": "cat"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,label\n1.jpg,cat\n", "its columns are 'file,label'; expected path and label"),
        ("path,label\n1.jpg\n", "line 2 has too few cells"),
        ("path,label\n1.jpg,\n", "it names no image; expected labels of a person or of clusters"),
        ("path,label\n1.jpg,a\n1.jpg,b\n", "1.jpg has the names 'a' and 'b'; expected one"),
        (f"path,label\n1.jpg,{'a' * 201}\n", "expected a line of 1 to 200 characters"),
        ("", "its columns are ''"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read_label_table(file)
    assert str(error.value).startswith(f"labels={file}: ")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a file; expected the labels\.json of the page"):
        read_label_table(tmp_path / "labels.csv")
