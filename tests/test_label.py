"""Names for all images of a run, and for new ones: the real commands on a real run."""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from conftest import Compose, compose_command, composer
from helpers.processes import run_python
from odc_lightning import load
from odc_lightning.assign import assign
from odc_lightning.cli.odc import translated
from odc_lightning.clusters import clusters as look
from odc_lightning.label import label
from odc_lightning.naming import GivenNames, clustering_id

# In the order of the run: which digit an image is, of which only the test knows.
Run = tuple[Path, list[str], NDArray[np.int64]]


@pytest.fixture
def compose_label(tmp_path: Path) -> Compose:
    return composer(tmp_path, "label")


@pytest.fixture(scope="module")
def run(photos_run: Path) -> Run:
    with (photos_run / "clusters.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    clusters = np.array([int(row["cluster"]) for row in rows])
    return photos_run, [row["path"] for row in rows], clusters


def write_names(folder: Path, run: Run, **said: Any) -> Path:
    _, images, clusters = run
    path = folder / "labels.json"
    given = GivenNames(clustering_id(images, clusters), **said)
    path.write_text(json.dumps(given.as_json()))
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_tables_and_a_page_of_what_to_name_next(
    compose_label: Compose, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, images, clusters = run
    largest = np.bincount(clusters).argsort()[::-1]
    one, other, rubbish = (int(cluster) for cluster in largest[:3])
    inside = np.flatnonzero(clusters == one)
    named, wrong = images[inside[0]], images[inside[1]]
    path = write_names(
        tmp_path,
        run,
        clusters={one: "ça = un", other: "=two", rubbish: None},
        images={named: "three"},
        wrong=[wrong],
    )
    config = compose_label(f"run='{folder}'", f"labels='{path}'", "device=cpu", "sure=0.6")
    label(config)
    out = Path(config.run_dir)
    rows = rows_of(out / "labels.csv")
    assert [row["path"] for row in rows] == images
    for row, cluster in zip(rows, clusters.tolist(), strict=True):
        if row["path"] == named:
            assert (row["label"], row["source"]) == ("three", "person")
        elif row["path"] == wrong:
            assert row["label"] != "ça = un"
            assert row["guess"] != "ça = un"
        elif cluster == one:
            assert (row["label"], row["source"], row["guess"]) == ("ça = un", "cluster", "")
        elif cluster == other:  # no spreadsheet runs it
            assert (row["label"], row["source"]) == ("./=two", "cluster")
        elif cluster == rubbish:
            assert (row["label"], row["source"], row["probability"]) == ("", "cluster", "")
        elif row["source"]:
            assert row["source"] == "classifier"
            assert row["label"] == row["guess"]
            assert float(row["probability"]) >= 0.6
        else:
            assert row["label"] == ""
            assert 0 < float(row["probability"]) <= 1
    sources = Counter(row["source"] for row in rows)
    assert sources["classifier"] > 0
    assert sources[""] > 0

    table = pq.read_table(out / "labels.parquet").to_pydict()
    assert table["path"] == images
    assert table["source"] == [row["source"] for row in rows]
    assert [value is None for value in table["probability"]] == [
        row["probability"] == "" for row in rows
    ]
    coco = json.loads((out / "labels.coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == images
    assert {(image["width"], image["height"]) for image in coco["images"]} == {(16, 16)}
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert sorted(names.values()) == ["=two", "three", "ça = un"]
    by_image = {each["image_id"]: each for each in coco["annotations"]}
    for number, row in enumerate(rows, start=1):
        name = row["label"].removeprefix("./")
        assert (names[by_image[number]["category_id"]] if number in by_image else "") == name
        assert ("score" in by_image.get(number, {})) is (
            row["source"] == "classifier" and name != ""
        )

    printed = capsys.readouterr().out
    assert f"{200 - sources['']} of 200 images named" in printed
    assert f"{out}/index.html#/next" in printed
    content = (out / "page" / "data" / "next.js").read_text()
    following = json.loads(content.removeprefix('page.take("next",').removesuffix(");\n"))
    assert len(following["name"]) == sources[""]
    unnamed = {row["path"] for row in rows if row["source"] == ""}
    assert set(following["name"]) == unnamed
    overview = (out / "page" / "data" / "overview.js").read_text()
    assert '"clusters":{' in overview  # the page starts with what is named


def test_folders_by_name_after_a_dry_run(
    compose_label: Compose, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _, clusters = run
    path = write_names(tmp_path, run, clusters={0: "a/b", 1: "a/b", 2: None})
    overrides = (f"run='{folder}'", f"labels='{path}'", "device=cpu", "sure=0.999")
    into = f"sort_into='{tmp_path / 'named'}'"
    label(compose_label(*overrides, into))
    assert "Dry run: no file was changed" in capsys.readouterr().out
    assert not (tmp_path / "named").exists()
    label(compose_label(*overrides, into, "dry_run=false", "overwrite=true"))
    (made,) = (path for path in (tmp_path / "named").iterdir() if path.is_dir())
    assert made.name == "a_b"
    assert len(list(made.iterdir())) >= (clusters < 2).sum()


def test_new_images_get_names(run: Run, new_photos: Path, tmp_path: Path) -> None:
    folder, _, _ = run
    path = write_names(tmp_path, run, clusters={0: "one", 1: "two", 2: None})
    overrides = (f"run='{folder}'", f"root='{new_photos}'", "num_workers=0", f"labels='{path}'")
    config = compose_command("assign", *overrides, "sure=0.6", f"out='{tmp_path / 'out'}'")
    table = pq.read_table(assign(config) / "assigned.parquet").to_pydict()
    assert list(table)[:5] == ["path", "label", "guess", "probability", "cluster"]
    assert set(table["label"]) <= {"one", "two", ""}
    assert set(table["guess"]) > {"one", "two"}
    named = [name != "" for name in table["label"]]
    assert any(named)
    for name, guess, probability in zip(
        table["label"], table["guess"], table["probability"], strict=True
    ):
        assert name in (guess, "")
        assert name == "" or probability >= 0.6
    # Images of a named cluster mostly get its name.
    own = [n for n, c in zip(table["guess"], table["cluster"], strict=True) if c == 0]
    assert own.count("one") >= len(own) / 2
    other = write_names(tmp_path, run, clusters={0: "one"})  # one name: no classifier
    with pytest.raises(ValueError, match="differs in labels"):
        assign(config)
    config.out, config.labels = str(tmp_path / "alone"), str(other)
    alone = pq.read_table(assign(config) / "assigned.parquet").to_pydict()
    assert alone["label"] == ["one" if cluster == 0 else "" for cluster in alone["cluster"]]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["labels=none.json"], r"labels=none\.json is not a file; expected the labels\.json that"),
        ([], r"labels=.*/run/labels\.json is not a file"),
        (["sure=1.5"], r"sure=1\.5; expected a number"),
        (["next=-1"], "next=-1; expected an integer, 0 or more"),
        (
            ["sort_into=x", "sort_by=move"],
            "sort_by='move'; expected one of copy, hardlink, symlink",
        ),
    ],
)
def test_what_is_refused(
    compose_label: Compose, run: Run, tmp_path: Path, overrides: list[str], message: str
) -> None:
    path = write_names(tmp_path, run, clusters={0: "one"})
    given = [f"labels='{path}'"] if overrides and "labels" not in overrides[0] else []
    with pytest.raises(ValueError, match=message):
        label(compose_label(f"run='{run[0]}'", "device=cpu", *given, *overrides))


def test_names_of_another_run_and_no_names(
    compose_label: Compose, run: Run, tmp_path: Path
) -> None:
    folder, images, clusters = run
    path = write_names(tmp_path, (folder, images, clusters + 1), clusters={0: "one"})
    with pytest.raises(ValueError, match="those of another clustering"):
        label(compose_label(f"run='{folder}'", f"labels='{path}'"))
    path = write_names(tmp_path, run)
    with pytest.raises(ValueError, match="gives no image a name; name a cluster first"):
        label(compose_label(f"run='{folder}'", f"labels='{path}'"))


def test_a_server_does_not_replace_names_of_other_clusters(
    compose_label: Compose, run: Run, tmp_path: Path
) -> None:
    folder, images, clusters = run
    labels = write_names(tmp_path, (folder, images, clusters + 1), clusters={0: "one"})
    config = composer(tmp_path, "clusters")(f"run='{folder}'", "serve=true", "port=0")
    kept = folder / "labels.json"
    try:
        for text in (labels.read_text(), "{"):
            kept.write_text(text)
            with pytest.raises(ValueError, match=r"would replace .*labels\.json; rename it"):
                look(config)
            assert kept.read_text() == text
    finally:
        kept.unlink()


def test_the_command_as_users_type_it(run: Run, tmp_path: Path) -> None:
    folder, images, _ = run
    model = load(folder)
    assert model.reference.names == images  # it is kept, so the command reads no image
    write_names(tmp_path, run, clusters={0: "one", 1: "two"})
    words = translated("label", [str(folder), "labels.json", "next=0", "device=cpu"])
    done = run_python("-m", "odc_lightning.label", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "labels.csv, labels.parquet and labels.coco.json" in done.stdout
    (out,) = (tmp_path / "outputs" / "labels").iterdir()
    assert sorted(path.name for path in out.glob("labels.*")) == [
        *("labels.coco.json", "labels.csv", "labels.parquet")
    ]
    assert not (out / "index.html").exists()
