"""The lines in the documentation that import a run into FiftyOne.

FiftyOne needs a database, so a stub takes its place: what is tested is that the lines find in our
files what they name.
"""

import csv
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conftest import compose_command, composer
from helpers.paths import ROOT
from odc_lightning import load
from odc_lightning.extract import extract
from odc_lightning.label import label
from odc_lightning.naming import GivenNames, clustering_id


class Dataset:
    """What the lines add to a data set."""

    def __init__(self, name: str, persistent: bool) -> None:
        self.samples: list[Any] = []

    def add_samples(self, samples: Any) -> None:
        self.samples += samples


@pytest.fixture
def snippet() -> str:
    text = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def fiftyone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, brain = ModuleType("fiftyone"), ModuleType("fiftyone.brain")
    said = {"Dataset": Dataset, "Sample": SimpleNamespace, "Classification": SimpleNamespace}
    app = SimpleNamespace(wait=lambda: None)
    vars(one).update(said, brain=brain, launch_app=lambda dataset: app)
    vars(brain)["compute_visualization"] = lambda dataset, **settings: None
    monkeypatch.setitem(sys.modules, "fiftyone", one)
    monkeypatch.setitem(sys.modules, "fiftyone.brain", brain)


@pytest.mark.usefixtures("fiftyone")
def test_fiftyone(
    photos_run: Path, snippet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with (photos_run / "clusters.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images, clusters = [row["path"] for row in rows], [int(row["cluster"]) for row in rows]
    given = GivenNames(clustering_id(images, np.array(clusters)), clusters={clusters[0]: "one"})
    Path("given.json").write_text(json.dumps(given.as_json()))
    config = composer(tmp_path, "label")(f"run='{photos_run}'", "labels=given.json", "next=0")
    label(config)
    Path(config.run_dir, "labels.parquet").rename("labels.parquet")
    Path("my photos").symlink_to(load(photos_run).run.config.data.root)
    extract(compose_command("extract", f"run='{photos_run}'", "format=atlas", "out=atlas"))

    found: dict[str, Any] = {}
    exec(snippet, found)
    samples = found["dataset"].samples
    assert [Path(sample.filepath).name for sample in samples] == [
        Path(each).name for each in images
    ]
    assert all(Path(sample.filepath).is_file() for sample in samples)
    assert [sample.cluster.label for sample in samples] == [row["cluster"] for row in rows]
    assert samples[0].label.label == "one"
    assert samples[0].features.shape == (128,)
