"""What compares several trainings: the figure of their losses, and the table of fine-tuning."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.paths import SCRIPTS
from helpers.processes import run_python
from helpers.run_folders import SUMMARY
from odc_lightning.metrics.scores import Evaluation, Score
from odc_lightning.reporting.figures import draw_losses
from odc_lightning.reporting.figures.losses import losses
from odc_lightning.reporting.tables import fine_tuning_tables
from odc_lightning.runs.results import write_results


def run_folder(folder: Path, values: list[float], steps_per_epoch: int = 10) -> Path:
    """A run that logged its loss every fifth step, and a score an epoch."""
    lines = ["train/loss,eval/nmi,step,epoch"]
    for i, value in enumerate(values):
        step = 5 * i + 4
        lines.append(f"{value},,{step},{step // steps_per_epoch}")
        if (step + 1) % steps_per_epoch == 0:
            lines.append(f",0.5,{step},{step // steps_per_epoch}")
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
    (folder / "summary.json").write_text(json.dumps({**SUMMARY, "num_clusters": 50}))
    return folder


def test_steps_become_epochs(tmp_path: Path) -> None:
    epochs, values = losses(run_folder(tmp_path / "run", [3.0, 2.0, 2.5, 1.5]))
    np.testing.assert_allclose(epochs, [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_allclose(values, [3.0, 2.0, 2.5, 1.5])


def test_an_epoch_that_ends_between_two_logged_steps(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", [3.0, 2.0])
    with (run / "metrics.csv").open("a") as file:
        file.write(",0.5,12,0\n")  # the first epoch has thirteen steps
    np.testing.assert_allclose(losses(run)[0], [5 / 13, 10 / 13])


def test_a_run_without_losses_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"metrics\.csv has no train/loss"):
        draw_losses({"ODC": [tmp_path]}, tmp_path / "out.png")


def test_the_figure_shows_every_method(tmp_path: Path) -> None:
    methods = {
        name: [run_folder(tmp_path / name / str(seed), [4.0, 3.0, level]) for seed in range(2)]
        for name, level in (("ODC", 1.0), ("DC", 2.0))
    }
    command = [f"{name}={run}" for name, runs in methods.items() for run in runs]
    script = str(SCRIPTS / "figure_1b.py")
    done = run_python(script, *command, str(tmp_path / "out.png"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).reshape(-1, 3)
    for colour in ((0, 114, 178), (213, 94, 0)):  # blue and orange
        assert (np.abs(pixels - np.array(colour)).max(axis=1) < 8).sum() > 100
    wrong = run_python(script, "ODC", "out.png", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "expected NAME=RUN_DIR, got 'ODC'" in wrong.stderr


def test_the_table_has_means_and_spreads_over_seeds(tmp_path: Path) -> None:
    of_rotation = "rotation_fashion_mnist"
    for method, start, values in (
        ("original", of_rotation, (0.5, 0.6)),
        ("odc", of_rotation, (0.7, 0.7)),
        ("untrained", "none", (0.3,)),
    ):
        for seed, value in enumerate(values):
            folder = tmp_path / method / start / str(seed)
            folder.mkdir(parents=True)
            scores = [
                Score("knn", "pooled", "top1", value, "k=20"),
                Score("linear", "pooled", "top1", value + 0.1),
            ]
            evaluation = Evaluation("x", "x", "convnet", "digits", scores)
            write_results(folder / "results.json", evaluation)
    script = str(SCRIPTS / "fine_tuning_table.py")
    done = run_python(script, str(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "knn top1 k=20 (%):" in done.stdout
    assert "| original | – | – | 55.0 ± 7.1 | – |" in done.stdout
    assert done.stdout.count("Untrained network: 30.0\n") == 1
    assert "| DC | – | – | – | – |" in done.stdout
    assert "| ODC | – | – | 80.0 ± 0.0 | – |" in done.stdout.partition("linear top1")[2]
    empty = run_python(script, str(tmp_path / "odc"), cwd=tmp_path)
    assert empty.returncode == 2
    assert "has no METHOD/START/SEED/results.json" in empty.stderr


def test_the_recipe_and_its_start_are_shown_where_they_are_evaluated(tmp_path: Path) -> None:
    for method, start in (("original", "simclr_fashion_mnist"), ("adapt", "dc_fashion_mnist")):
        folder = tmp_path / method / start / "0"
        folder.mkdir(parents=True)
        scores = [Score("knn", "pooled", "top1", 0.5, "k=20")]
        write_results(folder / "results.json", Evaluation("x", "x", "convnet", "digits", scores))
    table = fine_tuning_tables(tmp_path).splitlines()
    assert table[2] == "|  | Col. | Jig. | Rot. | DC | SimCLR |"
    assert table[4] == "| original | – | – | – | – | 50.0 |"
    assert table[7] == "| recipe | – | – | – | 50.0 | – |"
