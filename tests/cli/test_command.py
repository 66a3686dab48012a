"""The command as users type it, in a folder of their own."""

import json
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from helpers.offline_wandb import read_run
from helpers.paths import SCRIPTS
from helpers.processes import run_python


def odc_train(*overrides: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_python("-m", "odc_lightning.train", *overrides, cwd=cwd)


def test_a_multirun_leaves_finished_runs_and_a_table(tmp_path: Path) -> None:
    done = odc_train(
        "-m",
        "algorithm.num_clusters=10,20",
        "experiment=odc_digits",
        "trainer.max_epochs=1",
        *("data.subset={num_images: 300}", "data.batch_size=32", "model.backbone.width=4"),
        "logger=wandb",
        "logger.wandb.offline=true",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    runs = sorted(path.parent for path in tmp_path.glob("multirun/odc_digits/*/*/summary.json"))
    clusters = [json.loads((run / "summary.json").read_text())["num_clusters"] for run in runs]
    assert clusters == [10, 20]
    for run in runs:
        for name in ("clusters.csv", "index.csv", "metrics.csv", "curves.png", "config.yaml"):
            assert (run / name).exists(), name
    tracked = [read_run(*(run / "wandb").glob("offline-run-*")) for run in runs]
    assert len({each.run.run_id for each in tracked}) == 2
    assert [each.run.run_group for each in tracked] == [runs[0].parent.name] * 2
    assert [each.config["algorithm"]["num_clusters"] for each in tracked] == clusters
    assert [each.exit_code for each in tracked] == [0, 0]
    found = sorted(map(str, runs[0].parent.iterdir()))  # as a shell's * does, with multirun.yaml
    table = run_python(str(SCRIPTS / "results_table.py"), *found, cwd=tmp_path)
    header, rule, *rows = table.stdout.strip().splitlines()
    assert header.startswith("| run | images | clusters |")
    assert header.count("|") == rule.count("|")
    assert [row.split(" | ")[2] for row in rows] == ["10", "20"]


def test_a_folder_of_photographs(tmp_path: Path) -> None:
    """Nested, unlabelled, with spaces and other alphabets in the names."""
    folder = tmp_path / "my photos"
    for i in range(40):
        place = folder / ("Ausflüge" if i % 2 else "2024/五月")
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + i, 50), (6 * i, 255 - 6 * i, 3 * i)).save(place / f"bild {i}.jpg")
    done = odc_train(
        "data=image_folder",
        f"data.root={folder}",
        "data.image_size=32",
        "data.batch_size=8",
        "algorithm.num_clusters=4",
        "algorithm.small_clusters.threshold=3",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "trainer.log_every_n_steps=1",
        "hydra.run.dir=run",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "run" / "clusters.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 41
    assert any("Ausflüge/bild 1.jpg" in row for row in rows)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["knn_top1"] is None
    assert "untrained network" not in done.stdout


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("data=image_folder", "data.root=nowhere"), "nowhere"),
        (("data=image_folder", "data.root=."), "no images below"),
        (("experiment=odc_digits", "algorithm.num_clusters=1000"), "Try algorithm.num_clusters="),
        (
            ("experiment=odc_digits", "algorithm.small_clusters.threshold=-1"),
            "threshold=-1; expected 0 or more",
        ),
    ],
)
def test_what_is_refused_is_told_in_a_line(
    tmp_path: Path, overrides: tuple[str, ...], message: str
) -> None:
    done = odc_train(*overrides, "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    assert message in done.stderr
