"""Rows in parts: what is whole stays, what is not is made again, and nothing is mixed up."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from odc_lightning.inference.table_files import write_csv, write_parquet
from odc_lightning.inference.table_parts import Parts, collect

WRITERS = {"rows.parquet": write_parquet, "rows.csv": write_csv}


def rows(parts: Parts, number: int) -> pa.Table:
    first = number * parts.size
    values = list(range(first, min(first + parts.size, parts.num_rows)))
    return pa.table({"path": [f"ä {value}.png" for value in values], "value": values})


def test_from_the_first_part_to_the_files(tmp_path: Path) -> None:
    facts = {"layer": "conv4"}
    parts = Parts(tmp_path / "out", facts, 10, 4)
    assert (len(parts), parts.done, parts.missing) == (3, 0, range(10))
    parts.write(0, rows(parts, 0))
    # as if stopped here
    parts = Parts(tmp_path / "out", facts, 10, 4)
    assert (parts.done, parts.missing, parts.finished) == (1, range(4, 10), False)
    assert not (tmp_path / "out" / "rows.csv").exists()
    for number in (1, 2):
        parts.write(number, rows(parts, number))
    assert (parts.done, len(parts.missing)) == (3, 0)
    parts.finish(WRITERS)
    assert pq.read_table(tmp_path / "out" / "rows.parquet")["value"].to_pylist() == list(range(10))
    lines = (tmp_path / "out" / "rows.csv").read_text(encoding="utf-8").splitlines()
    assert (lines[0], lines[1], lines[10]) == ("path,value", "ä 0.png,0", "ä 9.png,9")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "facts.json",
        "rows.csv",
        "rows.parquet",
    ]
    assert Parts(tmp_path / "out", facts, 10, 4).finished


def test_a_stop_while_the_files_are_made(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out", {}, 3, 4)
    parts.write(0, rows(parts, 0))

    def fail(path: Path, parts: Parts) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.finish({"rows.csv": fail})
    again = Parts(tmp_path / "out", {}, 3, 4)
    assert not again.finished
    assert not (tmp_path / "out" / "rows.csv").exists()
    again.finish(WRITERS)
    assert len((tmp_path / "out" / "rows.csv").read_text(encoding="utf-8").splitlines()) == 4


@pytest.mark.parametrize("finished", [False, True])
def test_other_facts_are_refused(tmp_path: Path, finished: bool) -> None:
    parts = Parts(tmp_path / "out", {"layer": "conv4", "images": "1"}, 3, 4)
    parts.write(0, rows(parts, 0))
    if finished:
        parts.finish(WRITERS)
    message = "differs in layer and rows; choose another folder with out="
    with pytest.raises(ValueError, match=message):
        Parts(tmp_path / "out", {"layer": "conv5", "images": "1"}, 4, 4)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds something else"):
        Parts(tmp_path, {}, 3, 4)
    with pytest.raises(ValueError, match=r"cannot write to .*mine.txt"):
        Parts(tmp_path / "mine.txt" / "out", {}, 3, 4)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_part_of_another_size_is_refused(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out", {}, 10, 4)
    with pytest.raises(ValueError, match="part 2 has 4 rows, expected 2"):
        parts.write(2, rows(parts, 0))


def test_batches_are_collected() -> None:
    batches = torch.arange(10).split(2)
    groups = [torch.cat(group).tolist() for group in collect(iter(batches), 4)]
    assert groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
