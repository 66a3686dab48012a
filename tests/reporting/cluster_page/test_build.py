import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from helpers.made_up_run import HOSTILE, centroids_of, groups, made_up, write_images
from odc_lightning.data import FileSource
from odc_lightning.reporting.cluster_page import PageSettings, build_cluster_page
from odc_lightning.reporting.cluster_page.measures import measure
from odc_lightning.reporting.cluster_page.write_page import SCRIPTS
from odc_lightning.runs.clustered_images import ClusteredImages


def read_data(page: Path, name: str) -> Any:
    text = (page / "page" / "data" / f"{name}.js").read_text("ascii")
    found = re.fullmatch(r'page\.take\("([a-z0-9/]+)",(.*)\);\n', text)
    assert found is not None
    assert found[1] == name
    return json.loads(found[2])


def hostile(folder: Path) -> ClusteredImages:
    names = (*HOSTILE, "plain.jpg")
    write_images(folder, names)
    features, labels = groups(len(names), 2)
    return ClusteredImages(
        FileSource(folder, names), labels, features, centroids_of(features, labels)
    )


def test_what_is_on_the_page_is_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("odc_lightning.reporting.cluster_page.page_data.PER_CHUNK", 25)
    clustered = made_up(120, 7)
    built = build_cluster_page(clustered, tmp_path, PageSettings("noise", map_images=50))
    overview = read_data(tmp_path, "overview")
    assert overview["sizes"] == np.bincount(clustered.labels).tolist()
    assert overview["purity"] == pytest.approx(built.facts.overall_purity)
    assert overview["classes"] == ["0", "1", "2"]
    assert overview["originals"] is None  # they live in memory
    measures = measure(clustered)
    seen = []
    for chunk in range(5):
        columns = read_data(tmp_path, f"members/{chunk}")
        for name, distance in zip(columns["name"], columns["distance"], strict=True):
            index = int(name.removeprefix("noise/"))
            seen.append(index)
            assert distance == pytest.approx(measures.distance[index], abs=1e-4)
    starts = np.concatenate([[0], np.cumsum(overview["sizes"])])
    for cluster in range(7):
        members = seen[starts[cluster] : starts[cluster + 1]]
        assert (clustered.labels[members] == cluster).all()
        assert (np.diff(measures.distance[members]) >= 0).all()
    outliers = read_data(tmp_path, "outliers")
    assert outliers["score"] == sorted(outliers["score"], reverse=True)
    assert [seen[p] for p in outliers["position"]] == built.outliers.tolist()
    assert [f"noise/{seen[p]}" for p in outliers["position"]] == outliers["name"]
    on_map = read_data(tmp_path, "map")
    assert len(on_map["position"]) == len(on_map["x"]) == 50
    assert on_map["label"] == [int(clustered.labels[seen[p]] % 3) for p in on_map["position"]]
    for sheet in ("sheets/0", "sheets/1", "outliers/0", "faces/6"):
        assert Image.open(tmp_path / "page" / "pictures" / f"{sheet}.jpg").width > 0
    assert Image.open(tmp_path / "contact_sheet.png").size[1] > 7 * 96


def test_the_tables_have_a_row_an_image(tmp_path: Path) -> None:
    clustered = hostile(tmp_path / "photos")
    build_cluster_page(clustered, tmp_path / "out", PageSettings("x"))
    measures = measure(clustered)
    with (tmp_path / "out" / "clusters.csv").open(
        newline="", encoding="utf-8", errors="surrogateescape"
    ) as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [*HOSTILE, "plain.jpg"]
    assert [int(row["cluster"]) for row in rows] == clustered.labels.tolist()
    assert [int(row["second_choice"]) for row in rows] == measures.second.tolist()
    for row, margin in zip(rows, measures.margin, strict=True):
        assert float(row["margin"]) == pytest.approx(margin, abs=1e-6)
    table = pq.read_table(tmp_path / "out" / "clusters.parquet")
    assert table.column_names == list(rows[0])
    np.testing.assert_array_equal(table["distance"].to_numpy(), measures.distance)
    assert float(rows[2]["outlier_score"]) == pytest.approx(
        table["outlier_score"][2].as_py(), abs=1e-4
    )
    paths = table["path"].to_pylist()
    assert paths[0] == HOSTILE[0]
    assert paths[4] == "not utf-8 \\xff\\xe9.jpg"


def test_near_duplicates_and_what_cannot_be_shown(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(12)]
    write_images(tmp_path / "photos", names)
    for copy, original in ((10, 2), (11, 2), (9, 5)):
        image = Image.open(tmp_path / "photos" / f"{original}.jpg")
        image.resize((96, 64)).save(tmp_path / "photos" / f"{copy}.jpg", quality=60)
    for damaged in (0, 1):
        (tmp_path / "photos" / f"{damaged}.jpg").write_bytes(b"nothing")
    features, labels = groups(12, 3)
    source = FileSource(tmp_path / "photos", names)
    clustered = ClusteredImages(source, labels, features, centroids_of(features, labels))
    built = build_cluster_page(clustered, tmp_path / "out", PageSettings("x"))
    assert [group.tolist() for group in built.duplicates] == [[2, 10, 11], [5, 9]]
    duplicates = read_data(tmp_path / "out", "duplicates")
    assert duplicates["groups"] == {"shown": [3, 2], "all": [3, 2]}
    assert duplicates["name"] == ["2.jpg", "10.jpg", "11.jpg", "5.jpg", "9.jpg"]
    problems = read_data(tmp_path / "out", "problems")
    assert sorted(problems["name"]) == ["0.jpg", "1.jpg"]
    assert "cannot decode" in problems["reason"][0]
    assert read_data(tmp_path / "out", "overview")["problems"] == 2


def test_no_name_is_ever_markup_or_ends_a_script(tmp_path: Path) -> None:
    clustered = hostile(tmp_path / "photos")
    title = "</title><script>alert(3)</script> \" ' \udcff"
    build_cluster_page(clustered, tmp_path / "out", PageSettings(title))
    columns = read_data(tmp_path / "out", "members/0")  # and it is plain ASCII
    assert sorted(columns["name"]) == sorted((*HOSTILE, "plain.jpg"))
    assert read_data(tmp_path / "out", "overview")["title"] == title

    class Elements(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[tuple[str, dict[str, str | None]]] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found.append((tag, dict(attrs)))

    parser = Elements()
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    parser.feed(html)
    scripts = [attrs for tag, attrs in parser.found if tag == "script"]
    assert all(attrs.get("src", "").startswith("page/") for attrs in scripts)  # type: ignore[union-attr]
    assert len(scripts) == len(SCRIPTS) + 2  # what all pages share, and the overview
    assert not [a for _, attrs in parser.found for a in attrs if a.startswith("on")]
    assert "alert(3)" in html
    assert "<script>alert" not in html


def test_nothing_of_the_page_is_on_the_network_and_links_can_be_left_out(tmp_path: Path) -> None:
    clustered = hostile(tmp_path / "photos with spaces")
    build_cluster_page(clustered, tmp_path / "out", PageSettings("x", link_originals=False))
    assert read_data(tmp_path / "out", "overview")["originals"] is None
    for path in (tmp_path / "out").rglob("*"):
        if path.suffix in (".js", ".css", ".html"):
            text = path.read_text("utf-8")
            assert "http:" not in text
            assert "https:" not in text
            assert str(tmp_path) not in text
    build_cluster_page(clustered, tmp_path / "linked", PageSettings("x"))
    originals = read_data(tmp_path / "linked", "overview")["originals"]
    assert originals == f"{(tmp_path / 'photos with spaces').as_uri()}/"


@pytest.mark.parametrize(("num_samples", "num_clusters"), [(1, 1), (2, 2), (5, 1), (130, 130)])
def test_sets_of_any_shape(tmp_path: Path, num_samples: int, num_clusters: int) -> None:
    build_cluster_page(
        made_up(num_samples, num_clusters, classes=False), tmp_path, PageSettings("x")
    )
    overview = read_data(tmp_path, "overview")
    assert sum(overview["sizes"]) == num_samples
    assert overview["purity"] is None
    assert len(list((tmp_path / "page" / "pictures" / "faces").iterdir())) == num_clusters
